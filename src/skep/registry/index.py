"""The instances in memory, findable by name, by service and by label, and what changed since a revision.

In: whole registrations and removals, in batches; out: records. A look-up costs what it returns, not what there is.
Never writes anything down and never looks at the time.
"""

from collections import deque
from collections.abc import Iterable, KeysView, Mapping
from types import MappingProxyType
from typing import TypeVar

from skep.model.instance import Instance, InstanceKey
from skep.model.names import Namespace, ServiceId

_REMEMBERED = 65_536
"""How many changes are remembered for those who ask what changed; who is further behind reads everything."""

LabelKey = tuple[Namespace, str, str]
AtT = TypeVar("AtT")


class Index:
    """All instances, as of a revision that rises by one for each batch applied."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self.revision = 0
        self._instances: dict[InstanceKey, Instance] = {}
        self._by_service: dict[ServiceId, dict[InstanceKey, Instance]] = {}
        self._by_label: dict[LabelKey, dict[InstanceKey, Instance]] = {}
        self._sorted: dict[ServiceId, tuple[Instance, ...]] = {}
        self._log: deque[tuple[int, InstanceKey]] = deque()
        self._remembered = remembered
        self._forgotten = 0
        """The latest revision of which some change is no longer in the log."""

    def apply(self, registered: Iterable[Instance], removed: Iterable[InstanceKey] = ()) -> bool:
        """Take in a batch; true when anything changed, and then the revision has risen by one."""
        changed: list[InstanceKey] = []
        for instance in registered:
            key = instance.key
            old = self._instances.get(key)
            if old != instance:
                if old is not None:
                    self._forget(old)
                self._add(key, instance)
                changed.append(key)
        for key in removed:
            old = self._instances.get(key)
            if old is not None:
                self._forget(old)
                changed.append(key)
        if changed:
            self._record(changed)
        return bool(changed)

    def get(self, key: InstanceKey) -> Instance | None:
        """Return one instance."""
        return self._instances.get(key)

    @property
    def instances(self) -> Mapping[InstanceKey, Instance]:
        """Every instance; a live, read-only view."""
        return MappingProxyType(self._instances)

    @property
    def services(self) -> KeysView[ServiceId]:
        """Every service that has an instance; a live view."""
        return self._by_service.keys()

    def members(self, service: ServiceId) -> tuple[Instance, ...]:
        """Return the instances registered under a service, of every health, sorted by id."""
        found = self._sorted.get(service)
        if found is None:
            of_service = self._by_service.get(service)
            if of_service is None:
                return ()
            found = self._sorted[service] = tuple(of_service[key] for key in sorted(of_service))
        return found

    def labelled(self, namespace: Namespace, key: str, value: str) -> tuple[Instance, ...]:
        """Return the instances of a namespace that carry a label, sorted by service and id."""
        found = self._by_label.get((namespace, key, value), {})
        return tuple(found[name] for name in sorted(found))

    def changed_since(self, revision: int) -> tuple[int, frozenset[InstanceKey]] | None:
        """Return the revision now and the keys that changed after the given one; None when that is too long ago."""
        if revision < self._forgotten or revision > self.revision:
            return None
        keys: set[InstanceKey] = set()
        for changed_at, key in reversed(self._log):
            if changed_at <= revision:
                break
            keys.add(key)
        return self.revision, frozenset(keys)

    def _record(self, changed: Iterable[InstanceKey]) -> None:
        self.revision += 1
        self._log.extend((self.revision, key) for key in changed)
        while len(self._log) > self._remembered:
            self._forgotten = self._log.popleft()[0]

    def _add(self, key: InstanceKey, instance: Instance) -> None:
        self._instances[key] = instance
        service = instance.service_id
        self._by_service.setdefault(service, {})[key] = instance
        self._sorted.pop(service, None)
        for label in instance.labels.items():
            self._by_label.setdefault((instance.namespace, *label), {})[key] = instance

    def _forget(self, instance: Instance) -> None:
        key = instance.key
        del self._instances[key]
        service = instance.service_id
        self._sorted.pop(service, None)
        _discard(self._by_service, service, key)
        for label in instance.labels.items():
            _discard(self._by_label, (instance.namespace, *label), key)


def _discard(index: dict[AtT, dict[InstanceKey, Instance]], at: AtT, key: InstanceKey) -> None:
    """Take a key out of one entry of an index, and the entry with its last key."""
    found = index[at]
    del found[key]
    if not found:
        del index[at]
