"""The loop of the control plane: newest facts in, stale units recompiled, changed answers published, statuses written.

In: the store and the registry. Out: answers to what proxies demand (it is xDS's `Source`) and statuses on objects.
No debounce: a change is compiled as soon as the loop sees it; what arrives meanwhile is taken together, and after an
expensive round declared objects (never endpoints) wait in proportion. A unit that fails is logged and keeps its last
good answer; it never stops the others.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from skep.clock import Clock
from skep.compiler import facts
from skep.compiler.memo import Memo
from skep.compiler.status import status_of
from skep.errors import Expired
from skep.ir.route import Origin
from skep.kinds import KINDS, Kind, kind_for_resource, parse_body
from skep.model.names import GATEWAY_GROUP, ObjectRef, ServiceId
from skep.model.node import GatewayNode
from skep.model.resource import Record, Resource
from skep.pipeline.answers import answer_to, gateway_of
from skep.pipeline.departed import KEPT_S, Departed
from skep.pipeline.edges import RECONNECT_S, Edges
from skep.pipeline.feed import Feed
from skep.pipeline.pace import Pace
from skep.pipeline.refusals import Refusals, Verdict
from skep.pipeline.rulings import Ruling, Rulings
from skep.pipeline.statuses import StatusWriter
from skep.registry.service import Registry
from skep.store.objects import meta_of
from skep.store.store import Store
from skep.xds.session import ORDER
from skep.xds.snapshot import Demand, Encoded
from skep.xds.translate.names import CDS, LDS, RDS

log = logging.getLogger(__name__)

COMPILED = frozenset(
    {
        ("", "Namespace"),
        ("", "Service"),
        ("", "Secret"),
        (GATEWAY_GROUP, "GatewayClass"),
        (GATEWAY_GROUP, "Gateway"),
        (GATEWAY_GROUP, "HTTPRoute"),
        (GATEWAY_GROUP, "ReferenceGrant"),
    }
)
LATE_S = 0.02
"""Timers may fire a little early; what looks at the clock when woken must not find that its time has not come."""
RANK = {type_url: place for place, type_url in enumerate(ORDER)}
WITH_STATUS = frozenset({"GatewayClass", "Gateway", "HTTPRoute"})


class Pipeline:
    """Keeps every answer and every status up to date. Used from the event loop."""

    def __init__(self, store: Store, registry: Registry, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._memo = Memo()
        self._departed = Departed(self._memo)
        self._feed = Feed(self._memo, registry.members, registry.labelled, self._note_departed)
        self._refusals = Refusals()
        self._rulings = Rulings(store)
        self._edges = Edges(self._memo)
        self._answers: dict[Demand, tuple[Encoded, ...]] = {}
        self._broken: dict[Demand, str] = {}
        self._taken: dict[ObjectRef, Resource[Record]] = {}
        self._clock = clock
        self._statuses = StatusWriter(store, clock)
        self._pace = Pace()
        self._store_revision = -1
        self._registry_revision = -1
        self._declared: dict[ObjectRef, None] = {}
        self._news = asyncio.Event()
        self._publish: Callable[[Iterable[Demand]], None] = lambda _: None

    async def open(self) -> None:
        """Take in everything there is, so that the first answers are complete."""
        self._take_in_everything()
        self._take_in_registry()
        self._rule_as_before()
        self._edges.presume(self._feed.resources.values(), self._clock.monotonic())
        self._wake_soon()
        await self._refresh()

    async def run(self, publish: Callable[[Iterable[Demand]], None]) -> None:
        """Follow the store and the registry; tell `publish` which watched demands have a new answer."""
        self._publish = publish
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wake_on(self._store.revision.subscribe()))
            group.create_task(self._wake_on(self._registry.revision.subscribe()))
            group.create_task(self._statuses.run())
            group.create_task(self._rulings.run())
            while True:
                await self._news.wait()
                self._news.clear()
                self._edges.expire(self._clock.monotonic())
                self._departed.expire(self._clock.monotonic())
                self._take_in_registry()
                await self._refresh()  # endpoints first: they never wait for what a large change of objects costs
                if self._pace.may_begin(self._clock.monotonic()):
                    await self._take_in_objects(group)

    def trouble(self) -> str:
        """Say what cannot be compiled although it is valid, which is a bug; empty when all is."""
        if not self._broken:
            return ""
        what, why = next(iter(self._broken.items()))
        return f"{len(self._broken)} cannot be compiled and keep their last good answer, such as {what.name}: {why}"

    # What xDS asks of a Source.

    def watch(self, demand: Demand) -> tuple[Encoded, ...]:
        """Return the answer to a demand, and keep it up to date from now on."""
        if demand not in self._answers:
            self._answers[demand] = ()
            self._recompute(demand, self._memo.watch)
        return self._answers[demand]

    def unwatch(self, demand: Demand) -> None:
        """Forget an answer that nobody asks for."""
        if self._answers.pop(demand, None) is not None:
            self._memo.unwatch(answer_to, demand)
            self._broken.pop(demand, None)
            self._refusals.forget(demand)
            if demand.type_url == LDS and isinstance(demand.viewer, GatewayNode):
                self._edges.left(gateway_of(demand.viewer), self._clock.monotonic())
                self._wake_soon()

    def answer(self, demand: Demand) -> tuple[Encoded, ...]:
        """Return the answer to a watched demand."""
        return self._answers.get(demand, ())

    def accepted(self, demand: Demand, resources: tuple[Encoded, ...]) -> None:
        """A proxy took these."""
        if demand.type_url == LDS:
            self._tell_ports(resources, None)
            if isinstance(demand.viewer, GatewayNode):
                self._edges.took(gateway_of(demand.viewer), resources)
        self._act_on(self._refusals.accepted(demand, resources, self._note_taken))

    def refused(self, demand: Demand, resources: tuple[Encoded, ...], message: str) -> None:
        """A proxy refused a response that held these: its author is told, and what was good before stays."""
        log.warning("a proxy refused %s %s: %s", demand.type_url.rpartition(".")[2], demand.name, message)
        if demand.type_url == LDS:
            # A port cannot be listened on: nothing that was good is lost, and nothing else can be put in its place.
            self._tell_ports(resources, message.strip())
        else:
            self._act_on(self._refusals.refused(demand, resources, message.strip()))

    def _tell_ports(self, resources: tuple[Encoded, ...], message: str | None) -> None:
        for resource in resources:
            self._memo.set(facts.EdgeRejectedFact(resource.name), message)
        self._news.set()

    def _note_departed(self, service: ServiceId, ports: frozenset[int]) -> None:
        self._departed.note(service, ports, self._clock.monotonic())
        asyncio.get_running_loop().call_later(KEPT_S + LATE_S, self._news.set)

    def _wake_soon(self) -> None:
        """Look again when proxies that left had time to come back."""
        asyncio.get_running_loop().call_later(RECONNECT_S + LATE_S, self._news.set)

    def _note_taken(self, origin: Origin) -> None:
        resource = self._feed.resources.get(origin.ref)
        if resource is not None and resource.meta.generation == origin.generation:
            self._taken[origin.ref] = resource

    def _act_on(self, verdict: Verdict) -> None:
        for origin in verdict.set_aside:
            ruling = Ruling(origin.ref, origin.generation, verdict.message, self._taken.get(origin.ref))
            self._set_aside(ruling)
            self._rulings.keep(origin.ref, ruling)
        for origin in verdict.take_back:
            rejection = facts.rejected(self._memo, origin.ref)
            if rejection is not None and rejection.generation == origin.generation:
                self._memo.set(facts.RejectedFact(origin.ref), None)
                self._feed.keep(origin.ref, None)
                self._rulings.keep(origin.ref, None)
        if verdict.set_aside or verdict.take_back:
            self._news.set()

    def _set_aside(self, ruling: Ruling) -> None:
        self._memo.set(facts.AcceptedFact(ruling.ref), ruling.earlier)
        self._feed.keep(ruling.ref, ruling.earlier)
        self._memo.set(facts.RejectedFact(ruling.ref), facts.Rejection(ruling.generation, ruling.message))

    def _rule_as_before(self) -> None:
        """Set aside what was set aside before a restart, so that proxies are not offered it again."""
        declared = self._feed.resources
        for ruling in self._rulings.load(lambda ref: declared[ref].meta.generation if ref in declared else None):
            if ruling.earlier is not None:
                self._taken[ruling.ref] = ruling.earlier
            self._set_aside(ruling)

    # The loop's steps.

    async def _take_in_objects(self, group: asyncio.TaskGroup) -> None:
        """Compile what changed in the store; after an expensive round the next has to wait."""
        if self._store_revision == self._store.revision.value:
            return
        started = self._clock.monotonic()
        changes = await self._take_in_store()
        await self._refresh()
        pause_s = self._pace.ended(started, self._clock.monotonic(), changes)
        if pause_s:
            group.create_task(self._wake_after(pause_s))

    async def _wake_after(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s + LATE_S)
        self._news.set()

    async def _wake_on(self, revisions: Any) -> None:
        async for _ in revisions:
            self._news.set()

    async def _take_in_store(self) -> int:
        """Declare what changed; return how many declarations that were: a written status is none."""
        try:
            changes = await self._store.changes_since(self._store_revision)
        except Expired:
            self._take_in_everything()
            return len(self._feed.resources)
        latest = {change.key: change for change in changes}
        declared = 0
        for key, change in latest.items():
            kind = _compiled(key.resource)
            if kind is not None:
                ref = ObjectRef(kind.group, kind.kind, key.namespace, key.name)
                declared += self._declare(kind, ref, None if change.deleted else change.document)
        if changes:
            self._store_revision = changes[-1].revision
        self._settle()
        return declared

    def _take_in_everything(self) -> None:
        self._store_revision = self._store.revision.value
        gone = set(self._feed.resources)
        for kind in KINDS:
            if (kind.group, kind.kind) in COMPILED:
                for entry in self._store.list(kind.resource)[0]:
                    ref = ObjectRef(kind.group, kind.kind, entry.key.namespace, entry.key.name)
                    gone.discard(ref)
                    self._declare(kind, ref, entry.document)
        for ref in gone:
            self._declare(None, ref, None)
        self._settle()

    def _declare(self, kind: Kind | None, ref: ObjectRef, document: bytes | None) -> bool:
        resource = _read(kind, ref, document) if kind is not None and document is not None else None
        is_news = self._feed.declare(ref, resource)
        if is_news and ref.kind in WITH_STATUS:
            if resource is None:
                self._taken.pop(ref, None)
                self._memo.unwatch(status_of, ref)
                self._statuses.forget(ref)
            else:
                self._declared[ref] = None
        return is_news

    def _settle(self) -> None:
        self._feed.settle()
        declared, self._declared = self._declared, {}
        for ref in declared:
            if ref in self._feed.resources:
                self._write_status(ref, self._memo.watch)

    def _take_in_registry(self) -> None:
        now = self._registry.instances()
        known = self._registry.changed_since(self._registry_revision)
        revision, keys = known or (self._registry.revision.value, frozenset(now) | self._feed.instances)
        self._registry_revision = revision
        self._feed.refresh_instances(keys, now)

    async def _refresh(self) -> None:
        stale = list(self._memo.stale())
        await self._refresh_answers([arguments[0] for unit, arguments in stale if unit is answer_to])
        for unit, arguments in stale:
            if unit is not answer_to:
                self._write_status(arguments[0], self._memo.get)
        for demand in self._refusals.on_trial():
            if self._refusals.has_taken(demand, self.answer(demand)):
                self.accepted(demand, self.answer(demand))

    async def _refresh_answers(self, demands: list[Demand]) -> None:
        """Recompute and publish; a large table goes out while the next is made, unless clusters change with it.

        What a cluster's coming or going needs must be published together, for only then is it sent in a safe order.
        """
        changed: list[Demand] = []
        for demand in sorted(demands, key=lambda each: (RANK.get(each.type_url, len(RANK)), each.name)):
            if demand not in self._answers or not self._recompute(demand, self._memo.get):
                continue
            changed.append(demand)
            if demand.type_url == RDS and not any(each.type_url == CDS for each in changed):
                self._publish(changed)
                changed = []
                await asyncio.sleep(0)
        if changed:
            self._publish(changed)

    def _write_status(self, ref: ObjectRef, read: Callable[..., dict[str, Any] | None]) -> None:
        try:
            self._statuses.want(ref, read(status_of, ref))
        except Exception:  # the same fence
            log.exception("cannot tell the status of %s", ref)

    def _recompute(self, demand: Demand, read: Callable[..., tuple[Encoded, ...]]) -> bool:
        try:
            answer = read(answer_to, demand)
        except Exception as error:  # a bug in one unit must not stop the others; its last good answer stays
            log.exception("cannot compile %s %s; its last good answer stays", demand.type_url, demand.name)
            self._broken[demand] = type(error).__name__
            return False
        self._broken.pop(demand, None)
        if answer == self._answers[demand]:
            return False
        self._answers[demand] = answer
        return True


def _read(kind: Kind, ref: ObjectRef, document: bytes) -> Resource[Record] | None:
    """Parse a stored document; it was validated when it was written."""
    decoded = msgspec.json.decode(document)
    body = parse_body(kind, decoded)
    if isinstance(body, list):
        log.error("%s is kept in a form that cannot be read and is left out: %s", ref, "; ".join(map(str, body)))
        return None
    return Resource(ref=ref, meta=meta_of(decoded), body=body, status=decoded.get("status") or {})


def _compiled(resource: str) -> Kind | None:
    kind = kind_for_resource(resource)
    return kind if kind is not None and (kind.group, kind.kind) in COMPILED else None
