"""Keeps the pods of Deployments as the plan wants them, on the control plane. In: the store, the living agents; out: writes.

Works on what changed only. Decides nothing itself: `plan` and `status` do.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from skep.clock import Clock, rfc3339
from skep.errors import Conflict, Expired, NotFound, Unavailable
from skep.store.backend import Key
from skep.store.objects import Document, created, decode, encode, read, update_status
from skep.store.store import Create, Delete, Store, Write
from skep.workloads.documents import (
    DEPLOYMENTS,
    PODS,
    PodFacts,
    event_document,
    owner_of,
    pod_document,
    pod_facts,
)
from skep.workloads.events import forget_old_events, write_event
from skep.workloads.plan import CreatePod, DeletePod, ObservedPod, Wanted, plan, template_hash
from skep.workloads.spec import Deployment, validate_deployment
from skep.workloads.status import Situation, deployment_status, next_look_s

log = logging.getLogger(__name__)

LOOK_AT_AGENTS_EVERY_S = 0.5
LOST_AFTER_S = 300.0
"""An agent that was away for so long, while another lives, is given up: its pods are made anew elsewhere."""
RETRY_S = 1.0
FORGET_EVENTS_EVERY_S = 60.0


class DeploymentRunner:
    """The task that turns Deployments into Pods."""

    def __init__(self, store: Store, clock: Clock, agents: Callable[[], Collection[str]]) -> None:
        self._store = store
        self._clock = clock
        self._agents = agents
        self._changed = asyncio.Event()
        self._seen = -1
        self._dirty: set[Key] = set()
        self._due: dict[Key, float] = {}
        self._pods: dict[Key, tuple[int, PodFacts]] = {}
        self._last_alive: dict[str, float] = {}
        self._alive: tuple[str, ...] = ()
        self._lost: frozenset[str] = frozenset()
        self._forget_at = clock.monotonic()

    async def run(self) -> None:
        """Reconcile after every change, until cancelled."""
        self._seen = -1
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            while True:
                await self.step()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._changed.wait()

    async def step(self) -> None:
        """Reconcile what changed since the last step."""
        self._changed.clear()
        await self._collect()
        self._look_at_agents()
        now = self._clock.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + FORGET_EVENTS_EVERY_S
            await forget_old_events(self._store, self._clock)
        self._dirty |= {key for key, at in self._due.items() if at <= now}
        for key in sorted(self._dirty):
            self._dirty.discard(key)
            self._due.pop(key, None)
            try:
                await self._reconcile(key)
            except (Conflict, NotFound):
                self._due[key] = now  # somebody else wrote meanwhile: look again
            except Unavailable as error:
                log.warning("deployment %s/%s: %s", key.namespace, key.name, error)
                self._due[key] = now + RETRY_S

    async def _listen(self) -> None:
        async for _ in self._store.revision.subscribe():
            self._changed.set()

    def _pause_s(self) -> float:
        soonest = min(self._due.values(), default=None)
        if soonest is None:
            return LOOK_AT_AGENTS_EVERY_S
        return max(0.01, min(LOOK_AT_AGENTS_EVERY_S, soonest - self._clock.monotonic()))

    async def _collect(self) -> None:
        try:
            if self._seen < 0:
                raise Expired
            changes = await self._store.changes_since(self._seen)
        except Expired:
            entries, self._seen = self._store.list(DEPLOYMENTS)
            self._dirty |= {entry.key for entry in entries}
            for entry in self._store.list(PODS)[0]:
                self._touch_owner(entry.key, entry.document, entry.revision)
            return
        for change in changes:
            self._seen = change.revision
            if change.key.resource == DEPLOYMENTS:
                self._dirty.add(change.key)
            elif change.key.resource == PODS:
                self._touch_owner(change.key, change.document, change.revision)

    def _touch_owner(self, key: Key, document: bytes, revision: int) -> None:
        owner = owner_of(read(document, revision))
        if owner:
            self._dirty.add(Key(DEPLOYMENTS, key.namespace, owner["name"]))

    def _look_at_agents(self) -> None:
        now = self._clock.monotonic()
        alive = tuple(sorted(self._agents()))
        self._last_alive |= dict.fromkeys(alive, now)
        lost = frozenset(name for name, at in self._last_alive.items() if alive and at < now - LOST_AFTER_S)
        if alive != self._alive or lost != self._lost:
            self._alive, self._lost = alive, lost
            self._dirty |= {entry.key for entry in self._store.list(DEPLOYMENTS)[0]}

    async def _reconcile(self, key: Key) -> None:
        entry = self._store.find(key)
        document = decode(entry) if entry else None
        uid = document["metadata"]["uid"] if document else ""
        pods = [facts for facts in self._pods_in(key.namespace) if facts.owner == key.name]
        orphans = [facts for facts in pods if facts.owner_uid != uid]
        if orphans:
            await self._store.write([Delete(Key(PODS, key.namespace, facts.name)) for facts in orphans])
        if entry is None or document is None:
            return
        try:
            body = Deployment.model_validate({"spec": document.get("spec")})
            violations = [str(violation) for violation in validate_deployment(body)]
        except ValidationError as error:
            violations = [str(issue["msg"]) for issue in error.errors()]
        if violations:  # accepted by an earlier release: it spoils only itself
            log.warning("deployment %s/%s is not valid: %s", key.namespace, key.name, "; ".join(violations))
            return
        wanted = Wanted(name=key.name, uid=uid, body=body)
        await self._advance(key, document, wanted, [facts for facts in pods if facts.owner_uid == uid])

    async def _advance(self, key: Key, document: Document, wanted: Wanted, facts: Sequence[PodFacts]) -> None:
        now = self._clock.now()
        for one in facts:
            self._last_alive.setdefault(one.node, self._clock.monotonic())
        observed = [_observe(one, wanted.body.spec.min_ready_seconds, now) for one in facts]
        actions = plan(wanted, observed, self._alive, self._lost, str(self._store.revision.value))
        if actions:
            current = template_hash(wanted.body.spec.template)
            await self._store.write([self._write_of(action, key, document, current) for action in actions])
            await self._tell(document, actions)
            observed = [_observe(one, wanted.body.spec.min_ready_seconds, now) for one in self._owned(key, wanted.uid)]
        situation = Situation(
            wanted=wanted,
            generation=document["metadata"].get("generation", 1),
            pods=observed,
            agents=self._alive,
            last=document.get("status") or {},
            now=now,
        )
        status = deployment_status(situation)
        await update_status(self._store, key, status)
        self._look_again(key, situation, status, facts)

    def _look_again(self, key: Key, situation: Situation, status: dict[str, Any], facts: Sequence[PodFacts]) -> None:
        waits = [
            max(0.05, situation.wanted.body.spec.min_ready_seconds - (situation.now - one.ready_since).total_seconds())
            for one, pod in zip(facts, situation.pods, strict=False)
            if one.ready_since is not None and pod.ready and not pod.available
        ]
        after = next_look_s(_with_status(situation, status))
        if after is not None:
            waits.append(after)
        if waits:
            self._due[key] = self._clock.monotonic() + min(waits)

    def _pods_in(self, namespace: str) -> list[PodFacts]:
        found = []
        entries = self._store.list(PODS, namespace)[0]
        for entry in entries:
            known = self._pods.get(entry.key)
            if known is None or known[0] != entry.revision:
                created_at = known[1].created[1] if known else entry.revision
                known = (entry.revision, pod_facts(decode(entry), created_at))
                self._pods[entry.key] = known
            found.append(known[1])
        if len(self._pods) > 2 * len(self._store.list(PODS)[0]) + 100:
            self._pods = {key: known for key, known in self._pods.items() if self._store.find(key)}
        return found

    def _owned(self, key: Key, uid: str) -> list[PodFacts]:
        return [one for one in self._pods_in(key.namespace) if one.owner_uid == uid]

    def _write_of(self, action: CreatePod | DeletePod, key: Key, document: Document, current: str) -> Write:
        pod_key = Key(PODS, key.namespace, action.name)
        if isinstance(action, DeletePod):
            return Delete(pod_key)
        pod = pod_document(document, action.name, action.node, current, rfc3339(self._clock.now()))
        return Create(pod_key, encode(created(pod_key, pod, self._clock)))

    async def _tell(self, document: Document, actions: Sequence[CreatePod | DeletePod]) -> None:
        reasons: dict[str, int] = {}
        for action in actions:
            text = "starting {}" if isinstance(action, CreatePod) else "stopping {}: " + action.why
            reasons[text] = reasons.get(text, 0) + 1
        for text, count in reasons.items():
            message = text.format(f"{count} replica{'s' if count > 1 else ''}")
            event = event_document(document, "ScalingReplicas", message, rfc3339(self._clock.now()))
            await write_event(self._store, event, self._clock)


def _observe(facts: PodFacts, min_ready_s: int, now: datetime) -> ObservedPod:
    since = facts.ready_since
    return ObservedPod(
        name=facts.name,
        template_hash=facts.template_hash,
        created=facts.created,
        node=facts.node,
        ready=since is not None,
        available=since is not None and (now - since).total_seconds() >= min_ready_s,
    )


def _with_status(situation: Situation, status: dict[str, Any]) -> Situation:
    return Situation(
        wanted=situation.wanted,
        generation=situation.generation,
        pods=situation.pods,
        agents=situation.agents,
        last=status,
        now=situation.now,
    )
