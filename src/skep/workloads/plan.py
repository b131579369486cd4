"""Decides which pods to create and delete. In: one Deployment, its pods, the living agents; out: actions. Pure.

Runs again after every change, so it does a step and never remembers one: planning again after all was done gives nothing.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

import msgspec

from skep.workloads.spec import Deployment, DeploymentSpec
from skep.workloads.template import PodTemplate

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: no words; none that look alike
NAME_CUT = 46
"""Of the Deployment's name, so that `<name>-<hash>-<suffix>` is a DNS label."""
CREATE_AT_ONCE = 50
"""Pods made in one step; the rest follow in the next ones."""


class ObservedPod(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan needs to know of a pod."""

    name: str
    template_hash: str
    created: tuple[str, int]
    """Creation time and revision: orders by age."""
    node: str
    ready: bool = False
    available: bool = False
    """Ready for at least `minReadySeconds`."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A Deployment as the plan sees it."""

    name: str
    uid: str
    body: Deployment


class CreatePod(msgspec.Struct, frozen=True):
    """Make a pod of the current template."""

    name: str
    node: str


class DeletePod(msgspec.Struct, frozen=True):
    """Remove a pod."""

    name: str
    why: str


Action = CreatePod | DeletePod


def template_hash(template: PodTemplate) -> str:
    """Return ten letters that change whenever what the user wrote in the template does."""
    written = template.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return _letters(json.dumps(written, sort_keys=True, separators=(",", ":")), 10)


def plan(
    wanted: Wanted, pods: Sequence[ObservedPod], agents: Sequence[str], lost: frozenset[str], salt: str
) -> list[Action]:
    """Return the next step towards the wanted replicas.

    `lost` names agents given up for good; their pods are replaced. `salt` must differ between steps: a new pod never
    takes the name of one that was just deleted.
    """
    gone = [DeletePod(pod.name, f"agent {pod.node} is lost") for pod in pods if pod.node in lost]
    kept = [pod for pod in pods if pod.node not in lost]
    current = template_hash(wanted.body.spec.template)
    new = [pod for pod in kept if pod.template_hash == current]
    old = [pod for pod in kept if pod.template_hash != current]
    create, surplus = _step(wanted.body.spec, new, old)
    if not can_run(wanted.body):
        create, surplus = 0, surplus if wanted.body.spec.replicas == 0 else []
    names = _new_names(wanted, current, create if agents else 0, {pod.name for pod in pods}, salt)
    return [*gone, *surplus, *_place(names, kept, agents)]


def can_run(body: Deployment) -> bool:
    """Tell whether a local process can be started from a Deployment: an image alone names no program."""
    return all(container.command for container in body.spec.template.spec.containers)


def limits(spec: DeploymentSpec) -> tuple[int, int]:
    """Return how many replicas may exist, and how many must stay available, during an update."""
    if spec.strategy.type == "Recreate":
        return spec.replicas, 0
    rolling = spec.strategy.rolling_update
    surge = _share(rolling.max_surge if rolling else "25%", spec.replicas, up=True)
    unavailable = _share(rolling.max_unavailable if rolling else "25%", spec.replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # shares of a small number: without it nothing would ever move
    return spec.replicas + surge, max(0, spec.replicas - unavailable)


def _step(spec: DeploymentSpec, new: list[ObservedPod], old: list[ObservedPod]) -> tuple[int, list[DeletePod]]:
    wish = spec.replicas
    if spec.strategy.type == "Recreate" and old and not spec.paused:
        return 0, [DeletePod(pod.name, "its template is replaced") for pod in _expendable_first(old)]
    surplus = _expendable_first(new)[: max(0, len(new) - wish)]
    deletes = [DeletePod(pod.name, "scaled down") for pod in surplus]
    if not old:
        return max(0, wish - len(new)), deletes
    left = [pod for pod in new if pod not in surplus]
    if spec.paused:
        excess = _expendable_first(old)[: max(0, len(left) + len(old) - wish)]
        deletes += [DeletePod(pod.name, "scaled down") for pod in excess]
        return (max(0, wish - len(left) - len(old)) if left else 0), deletes
    most, least = limits(spec)
    deletes += [DeletePod(pod.name, "its template is replaced") for pod in _replaceable(left, old, least)]
    return max(0, min(wish - len(left), most - len(left) - len(old))), deletes


def _replaceable(new: list[ObservedPod], old: list[ObservedPod], least: int) -> list[ObservedPod]:
    """Return the old pods that may go now without fewer than `least` staying available."""
    starting = sum(not pod.available for pod in new)
    room = len(new) + len(old) - least - starting  # old broken pods stay too while the new ones do not come up
    spare = sum(pod.available for pod in (*new, *old)) - least
    chosen = []
    for pod in _expendable_first(old):
        if room <= 0 or (pod.available and spare <= 0):
            break
        chosen.append(pod)
        room -= 1
        spare -= pod.available
    return chosen


def _expendable_first(pods: Sequence[ObservedPod]) -> list[ObservedPod]:
    """Order pods: those that serve nobody first, then the youngest."""
    youngest_first = sorted(pods, key=lambda pod: (pod.created, pod.name), reverse=True)
    return sorted(youngest_first, key=lambda pod: (pod.available, pod.ready))


def _new_names(wanted: Wanted, current: str, count: int, taken: set[str], salt: str) -> list[str]:
    base = wanted.name.replace(".", "-")[:NAME_CUT].rstrip("-")
    names: list[str] = []
    counter = 0
    while len(names) < min(count, CREATE_AT_ONCE):
        name = f"{base}-{current}-{_letters(f'{wanted.uid}/{salt}/{counter}', 5)}"
        counter += 1
        if name not in taken:
            taken.add(name)
            names.append(name)
    return names


def _place(names: Sequence[str], pods: Sequence[ObservedPod], agents: Sequence[str]) -> list[CreatePod]:
    load: dict[str, int] = dict.fromkeys(sorted(agents), 0)
    for pod in pods:
        if pod.node in load:
            load[pod.node] += 1
    actions = []
    for name in names:
        node = _least_loaded(load)
        load[node] += 1
        actions.append(CreatePod(name, node))
    return actions


def _least_loaded(load: Mapping[str, int]) -> str:
    return min(load, key=lambda node: (load[node], node))


def _share(value: int | str, whole: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    part = whole * int(value.removesuffix("%"))
    return -(-part // 100) if up else part // 100


def _letters(text: str, count: int) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    letters = []
    for _ in range(count):
        number, index = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[index])
    return "".join(letters)
