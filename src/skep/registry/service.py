"""The registry: which instances run where, who says they are alive, and until when that is believed.

In: registrations, beats, health reports; out: records at once from memory, and a revision to wait on. Registrations are kept
in the store and so survive a restart; beats live in memory only, and a beat that only renews writes nothing. An instance
leaves on deregistration or when its lease runs out, never because this process or the database stopped.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, KeysView, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec

from skep.clock import Clock
from skep.errors import Invalid, Unavailable
from skep.model.instance import Health, Instance, InstanceKey
from skep.model.names import SERVICE_LABEL, InstanceId, Namespace, ServiceId, ServiceName
from skep.model.violation import Violation
from skep.registry.index import Index
from skep.registry.leases import TICK_S, Leases
from skep.registry.registration import validate_instance
from skep.registry.spec import RESOURCE, instance_from_document, object_document, object_name
from skep.store.backend import Key
from skep.store.objects import created, encode, updated
from skep.store.store import Create, Delete, Store, Update, Write
from skep.watch import Cell

_log = logging.getLogger(__name__)
_DEAF_S = 1.5
"""A sweep that comes this late shows that this process did not run, and so could not hear the beats."""
_BREATH = 200
"""After how many instances of a batch others get their turn."""
_RETRY_S = 5.0
"""How long to wait before writing again what the store could not take."""


class LeaseView(msgspec.Struct, frozen=True):
    """Who says an instance is alive, when last heard, and when that is no longer believed."""

    heard_by: str
    """Empty when nobody has spoken for it since this process started."""
    last_heard: datetime | None
    expires: datetime


class InstanceView(msgspec.Struct, frozen=True):
    """An instance with its lease."""

    instance: Instance
    lease: LeaseView


class Registry:
    """All instances of one control plane; every method is to be called from the event loop's thread."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.revision: Cell[int] = Cell(0)
        self._store = store
        self._clock = clock
        self._index = Index()
        self._leases = Leases()
        self._busy: dict[InstanceKey, asyncio.Event] = {}
        self._unsaved: set[InstanceKey] = set()
        """Keys whose object in the store may differ from what is in effect here."""
        self._retry_s = 0.0

    async def open(self) -> None:
        """Load what the store holds; every lease starts afresh, because nobody could renew it meanwhile."""
        entries, _ = self._store.list(RESOURCE)
        now_s = self._clock.monotonic()
        instances = [instance_from_document(msgspec.json.decode(entry.document)) for entry in entries]
        for instance in instances:
            self._leases.grant(instance.key, instance.lease_s, now_s, heard_by=None)
        self._take_in(instances)

    async def run(self) -> None:
        """Remove what is no longer heard of, until cancelled."""
        swept_s = self._clock.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = self._clock.monotonic()
            if now_s - swept_s > _DEAF_S:
                # Nobody could be heard meanwhile, and beats that came may still lie unread: that time does not count.
                self._leases.forgive(now_s - swept_s, now_s)
                _log.warning("registry did not run for %.1f s: every lease is extended by that", now_s - swept_s)
            swept_s = now_s
            await self.sweep()

    async def sweep(self) -> None:
        """Remove the instances whose lease ran out, and write again what the store could not take before."""
        now_s = self._clock.monotonic()
        overdue = self._leases.overdue(now_s)
        if overdue:
            await self._expire(overdue)
        if self._unsaved and now_s >= self._retry_s:
            await self._save(tuple(self._unsaved))

    async def register(self, instances: Sequence[Instance], by: str = "") -> None:
        """Add or replace instances, all or none; durable and in effect on return. `Invalid` names every mistake."""
        labelled = [_with_service_label(instance) for instance in instances]
        _refuse_invalid(labelled)
        async with self._alone([instance.key for instance in labelled]):
            changed = [i for i in labelled if self._index.get(i.key) != i or i.key in self._unsaved]
            await self._write(changed)
            now_s = self._clock.monotonic()
            for instance in labelled:
                self._leases.grant(instance.key, instance.lease_s, now_s, by or instance.source)
            self._take_in(changed)

    def renew(self, keys: Iterable[InstanceKey], by: str = "") -> list[InstanceKey]:
        """Start the leases anew, in memory only; returns the keys that are not registered."""
        now_s = self._clock.monotonic()
        renew = self._leases.renew
        return [key for key in keys if not renew(key, now_s, by)]

    async def report_health(self, reports: Sequence[tuple[InstanceKey, Health]], by: str = "") -> list[InstanceKey]:
        """Renew, and take in what is known of the instances' health; returns the keys that are not registered.

        The report is in effect on return even when the store cannot take it now: it is written as soon as it can.
        """
        unknown = self.renew((key for key, _ in reports), by)
        news = {key: health for key, health in reports if self._says_otherwise(key, health)}
        if news:
            async with self._alone(news):
                current = [(self._index.get(key), health) for key, health in news.items()]
                changed = [msgspec.structs.replace(old, health=health) for old, health in current if old is not None]
                self._take_in(changed)
                await self._save([instance.key for instance in changed], alone=True)
        return unknown

    async def deregister(self, keys: Sequence[InstanceKey]) -> None:
        """Remove instances; durable and in effect on return. Unknown keys are passed over."""
        async with self._alone(keys):
            await self._write((), keys)
            self._remove(keys)

    def get(self, key: InstanceKey) -> Instance | None:
        """Return one instance."""
        return self._index.get(key)

    def instances(self) -> Mapping[InstanceKey, Instance]:
        """Return every instance; a live, read-only view."""
        return self._index.instances

    def services(self) -> KeysView[ServiceId]:
        """Return every service that has an instance; a live view."""
        return self._index.services

    def members(self, service: ServiceId) -> tuple[Instance, ...]:
        """Return the instances registered under a service, of every health, sorted by id."""
        return self._index.members(service)

    def labelled(self, namespace: Namespace, key: str, value: str) -> tuple[Instance, ...]:
        """Return the instances of a namespace that carry a label, sorted by service and id."""
        return self._index.labelled(namespace, key, value)

    def changed_since(self, revision: int) -> tuple[int, frozenset[InstanceKey]] | None:
        """Return the revision now and which keys changed after the given one; None: too long ago, read everything."""
        return self._index.changed_since(revision)

    def view(self, key: InstanceKey) -> InstanceView | None:
        """Return one instance with its lease."""
        instance = self._index.get(key)
        return None if instance is None else InstanceView(instance, self._lease_view(key))

    def query(
        self,
        namespace: str | None = None,
        service: str | None = None,
        where: Callable[[Instance], bool] | None = None,
    ) -> list[InstanceView]:
        """Return instances with their leases, sorted by namespace, service and id."""
        return [InstanceView(i, self._lease_view(i.key)) for i in self.select(namespace, service, where)]

    def select(
        self,
        namespace: str | None = None,
        service: str | None = None,
        where: Callable[[Instance], bool] | None = None,
    ) -> list[Instance]:
        """Return instances, sorted by namespace, service and id; cheap enough for all there are."""
        if namespace is not None and service is not None:
            found: Iterable[Instance] = self._index.members(ServiceId(Namespace(namespace), ServiceName(service)))
        else:
            every = self._index.instances
            keys = (k for k in every if namespace in (None, k.namespace) and service in (None, k.service))
            found = (every[key] for key in sorted(keys, key=msgspec.structs.astuple))
        return [instance for instance in found if where is None or where(instance)]

    def with_lease(self, document: bytes | Mapping[str, Any]) -> dict[str, Any]:
        """Add what is known now to a stored Instance object that is about to be read: its health and its lease."""
        read: dict[str, Any] = msgspec.json.decode(document) if isinstance(document, bytes) else dict(document)
        spec = read["spec"]
        key = InstanceKey(
            Namespace(read["metadata"]["namespace"]), ServiceName(spec["service"]), InstanceId(spec["id"])
        )
        instance = self._index.get(key)
        if instance is not None:
            lease = lease_document(self._lease_view(key))
            read["status"] = {**read.get("status", {}), "health": str(instance.health), "lease": lease}
        return read

    def _lease_view(self, key: InstanceKey) -> LeaseView:
        lease = self._leases.get(key)
        assert lease is not None, key
        now, now_s = self._clock.now(), self._clock.monotonic()
        heard = None if lease.heard_s is None else now - timedelta(seconds=now_s - lease.heard_s)
        return LeaseView(lease.heard_by, heard, now + timedelta(seconds=lease.expires_s - now_s))

    def _says_otherwise(self, key: InstanceKey, health: Health) -> bool:
        instance = self._index.get(key)
        return instance is not None and instance.health != health

    def _take_in(self, instances: Iterable[Instance]) -> None:
        if self._index.apply(instances):
            self.revision.set(self._index.revision)

    def _remove(self, keys: Iterable[InstanceKey]) -> None:
        for key in keys:
            self._leases.drop(key)
        if self._index.apply((), keys):
            self.revision.set(self._index.revision)

    async def _expire(self, overdue: Sequence[InstanceKey]) -> None:
        """Take instances out of effect first, so that nobody is sent there even when the store cannot write."""
        async with self._alone(overdue):
            now_s = self._clock.monotonic()
            leases = [lease for key in overdue if (lease := self._leases.get(key)) is not None]
            gone = [lease.key for lease in leases if lease.expires_s <= now_s]
            if gone:
                _log.info("lease lost: %d instances, first %s", len(gone), "/".join(msgspec.structs.astuple(gone[0])))
                self._remove(gone)
                await self._save(gone, alone=True)

    async def _save(self, keys: Sequence[InstanceKey], *, alone: bool = False) -> None:
        """Make the store agree with what is in effect; when it cannot write, remember to try again."""
        if not alone:
            async with self._alone(keys):
                return await self._save(keys, alone=True)
        try:
            present = [instance for key in keys if (instance := self._index.get(key)) is not None]
            await self._write(present, [key for key in keys if self._index.get(key) is None])
        except Unavailable as error:
            self._unsaved.update(keys)
            self._retry_s = self._clock.monotonic() + _RETRY_S
            _log.warning("%d instances not saved, will retry: %s", len(keys), error.message)

    async def _write(self, instances: Sequence[Instance], removed: Sequence[InstanceKey] = ()) -> None:
        """Put instances into the store and take others out, in one transaction; call it alone with their keys."""
        keys = [*(instance.key for instance in instances), *removed]
        try:
            writes = [Delete(at) for key in removed if self._store.find(at := _store_key(key)) is not None]
            await self._store.write([*await self._upserts(instances), *writes])
        except asyncio.CancelledError:
            # Whether it was committed is unknown, so the next sweep makes the store say what is in effect.
            self._unsaved.update(keys)
            raise
        self._unsaved.difference_update(keys)

    async def _upserts(self, instances: Sequence[Instance]) -> list[Write]:
        writes: list[Write] = []
        for position, instance in enumerate(instances):
            write = self._upsert(instance)
            if write is not None:
                writes.append(write)
            if position % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)  # a large batch must not keep others' beats waiting
        return writes

    def _upsert(self, instance: Instance) -> Write | None:
        key = _store_key(instance.key)
        old = self._store.find(key)
        document = object_document(instance)
        if old is None:
            return Create(key, encode(created(key, document, self._clock)))
        replacement = encode(updated(msgspec.json.decode(old.document), document))
        return None if replacement == old.document else Update(key, replacement)

    @asynccontextmanager
    async def _alone(self, keys: Iterable[InstanceKey]) -> AsyncIterator[None]:
        """Wait until nobody else writes any of these instances; writes of others go on meanwhile and share commits."""
        mine = set(keys)
        while (other := next((self._busy[key] for key in mine if key in self._busy), None)) is not None:
            await other.wait()
        done = asyncio.Event()
        self._busy.update(dict.fromkeys(mine, done))
        try:
            yield
        finally:
            for key in mine:
                del self._busy[key]
            done.set()


def lease_document(lease: LeaseView) -> dict[str, Any]:
    """Render a lease as the API and the object's status show it."""
    return {
        "heardBy": lease.heard_by,
        "lastHeard": None if lease.last_heard is None else _moment(lease.last_heard),
        "expires": _moment(lease.expires),
    }


def _moment(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _store_key(key: InstanceKey) -> Key:
    return Key(RESOURCE, key.namespace, object_name(key))


def _with_service_label(instance: Instance) -> Instance:
    if SERVICE_LABEL in instance.labels:
        return instance
    return msgspec.structs.replace(instance, labels={**instance.labels, SERVICE_LABEL: instance.service})


def _refuse_invalid(instances: Sequence[Instance]) -> None:
    """Raise `Invalid` with everything that is wrong with a batch."""
    found: list[Violation] = []
    seen: set[InstanceKey] = set()
    for position, instance in enumerate(instances):
        mistakes = validate_instance(instance)
        found.extend(Violation(f"instances[{position}].{v.path}", v.code, v.message) for v in mistakes)
        if instance.key in seen:
            found.append(
                Violation(f"instances[{position}]", "duplicate", "must name an instance that the batch names once")
            )
        seen.add(instance.key)
    if found:
        raise Invalid(violations=found)
