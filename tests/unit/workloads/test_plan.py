"""The plan: it converges, keeps enough replicas serving, and then asks for nothing."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.workloads.plan import (
    CreatePod,
    DeletePod,
    ObservedPod,
    Wanted,
    can_run,
    limits,
    plan,
    template_hash,
)
from skep.workloads.spec import Deployment
from skep.workloads.template import PodTemplate

HERE = ("here",)


def deployment(replicas: int, version: str = "v1", **spec: object) -> Deployment:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "command": ["serve", version]}]},
    }
    selector = {"matchLabels": {"app": "web"}}
    return Deployment.model_validate(
        {"spec": {"replicas": replicas, "selector": selector, "template": template, **spec}}
    )


def wanted(body: Deployment, name: str = "web") -> Wanted:
    return Wanted(name=name, uid="u", body=body)


def pod(name: str, body: Deployment, *, up: bool = True, age: int = 0, node: str = "here") -> ObservedPod:
    current = template_hash(body.spec.template)
    return ObservedPod(name=name, template_hash=current, created=("", -age), node=node, ready=up, available=up)


class Host:
    """Does what the plan says."""

    def __init__(self, pods: Iterable[ObservedPod] = ()) -> None:
        self.pods = {one.name: one for one in pods}
        self.round = 0

    def step(self, body: Deployment) -> int:
        """Plan and do one step; return how many actions it had."""
        self.round += 1
        actions = plan(wanted(body), list(self.pods.values()), HERE, frozenset(), str(self.round))
        for action in actions:
            if isinstance(action, DeletePod):
                del self.pods[action.name]
            else:
                assert action.name not in self.pods
                self.pods[action.name] = msgspec.structs.replace(
                    pod(action.name, body, up=False), created=("", self.round), node=action.node
                )
        return len(actions)

    def bring_up(self, names: Iterable[str]) -> None:
        for name in names:
            self.pods[name] = msgspec.structs.replace(self.pods[name], ready=True, available=True)

    def available(self) -> int:
        return sum(one.available for one in self.pods.values())

    def settle(self, body: Deployment, limit: int = 400) -> None:
        for _ in range(limit):
            if not self.step(body) and all(one.available for one in self.pods.values()):
                return
            self.bring_up(self.pods)
        raise AssertionError("never settles")


shares = st.one_of(st.integers(0, 5), st.integers(0, 100).map(lambda n: f"{n}%"))


@st.composite
def rollouts(draw: st.DrawFn) -> tuple[Deployment, Host]:
    replicas = draw(st.integers(0, 12))
    rolling = {"maxSurge": draw(shares), "maxUnavailable": draw(shares)}
    body = deployment(replicas, "v2", strategy={"rollingUpdate": rolling})
    old, older = deployment(replicas, "v1"), deployment(replicas, "v0")
    pods = []
    for index, (which, up) in enumerate(draw(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=14))):
        pods.append(pod(f"p{index}", (body, old, older)[which], up=up, age=index))
    return body, Host(pods)


@given(rollouts())
def test_it_settles_and_then_asks_for_nothing(case: tuple[Deployment, Host]) -> None:
    body, host = case
    host.settle(body)
    current = template_hash(body.spec.template)
    assert [one.template_hash for one in host.pods.values()] == [current] * body.spec.replicas
    assert host.step(body) == 0


@given(rollouts(), st.randoms(use_true_random=False))
def test_never_fewer_serve_than_allowed(case: tuple[Deployment, Host], chance: object) -> None:
    body, host = case
    most, least = limits(body.spec)
    floor = min(host.available(), least)
    ceiling = max(len(host.pods), most)
    for _ in range(60):
        host.step(body)
        assert host.available() >= floor
        assert len(host.pods) <= ceiling
        starting = sorted(name for name, one in host.pods.items() if not one.available)
        host.bring_up(name for name in starting if chance.random() < 0.5)  # type: ignore[attr-defined]
        floor = max(floor, min(host.available(), least))


@given(rollouts())
def test_the_same_question_gets_the_same_answer(case: tuple[Deployment, Host]) -> None:
    body, host = case
    pods = list(host.pods.values())
    first = plan(wanted(body), pods, ("a", "b"), frozenset(), "1")
    assert plan(wanted(body), pods[::-1], ("b", "a"), frozenset(), "1") == first


def test_names_are_dns_labels_and_differ_between_steps() -> None:
    body = deployment(2)
    name = "a.very-long" * 8
    (first, second) = plan(Wanted(name=name, uid="u", body=body), [], HERE, frozenset(), "1")
    assert isinstance(first, CreatePod)
    assert first.name != second.name
    assert len(first.name) <= 63
    assert "." not in first.name
    (other, _) = plan(Wanted(name=name, uid="u", body=body), [], HERE, frozenset(), "2")
    assert other.name not in (first.name, second.name)


def test_scaling_down_takes_those_that_serve_nobody_then_the_youngest() -> None:
    body = deployment(4)
    pods = [
        pod("old", body, age=9),
        pod("young", body, age=1),
        pod("down", body, up=False, age=5),
        pod("x", body, age=4),
    ]

    def deleted(replicas: int) -> list[str]:
        return [action.name for action in plan(wanted(deployment(replicas)), pods, HERE, frozenset(), "1")]

    assert deleted(3) == ["down"]
    assert deleted(2) == ["down", "young"]
    assert deleted(1) == ["down", "young", "x"]
    assert sorted(deleted(0)) == ["down", "old", "x", "young"]


def test_default_rolling_update_surges_by_a_quarter_rounded_up() -> None:
    assert limits(deployment(4).spec) == (5, 3)
    assert limits(deployment(1).spec) == (2, 1)
    assert limits(deployment(10).spec) == (13, 8)
    assert limits(deployment(3, strategy={"type": "Recreate"}).spec) == (3, 0)
    tiny = {"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": "1%"}}
    assert limits(deployment(3, strategy=tiny).spec) == (3, 2)


def test_recreate_stops_all_before_it_starts_any() -> None:
    old, new = deployment(2, "v1"), deployment(2, "v2", strategy={"type": "Recreate"})
    host = Host([pod("a", old), pod("b", old)])
    host.step(new)
    assert host.pods == {}
    host.settle(new)
    assert len(host.pods) == 2


def test_paused_replaces_nothing() -> None:
    old, new = deployment(2, "v1"), deployment(2, "v2", paused=True)
    host = Host([pod("a", old), pod("b", old)])
    assert host.step(new) == 0
    assert host.step(deployment(1, "v2", paused=True)) == 1


def test_pods_of_a_lost_agent_are_replaced_elsewhere() -> None:
    body = deployment(2)
    actions = plan(wanted(body), [pod("a", body), pod("b", body, node="gone")], HERE, frozenset({"gone"}), "1")
    assert [type(action) for action in actions] == [DeletePod, CreatePod]
    assert actions[0].name == "b"


def test_pods_are_spread_and_wait_for_an_agent() -> None:
    body = deployment(4)
    actions = plan(wanted(body), [pod("p", body, node="a")], ("a", "b"), frozenset(), "1")
    assert [action.node for action in actions if isinstance(action, CreatePod)] == ["b", "a", "b"]
    assert plan(wanted(body), [], (), frozenset(), "1") == []


def test_image_without_command_starts_nothing_and_keeps_what_runs() -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    body = Deployment.model_validate(
        {"spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}}
    )
    assert not can_run(body)
    assert plan(wanted(body), [pod("a", deployment(2))], HERE, frozenset(), "1") == []


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"metadata": {"creationTimestamp": None, "labels": {"app": "web"}}}, True),
        ({"metadata": {"labels": {"app": "web"}, "annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}, False),
        ({"metadata": {"labels": {"app": "web", "version": "v2"}}}, False),
    ],
)
def test_hash_changes_with_what_was_written(change: dict[str, object], same: bool) -> None:
    spec = {"containers": [{"name": "web", "command": ["x"]}]}
    before = PodTemplate.model_validate({"metadata": {"labels": {"app": "web"}}, "spec": spec})
    after = PodTemplate.model_validate({"spec": spec, **change})
    assert (template_hash(before) == template_hash(after)) is same
