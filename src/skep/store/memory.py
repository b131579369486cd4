"""What the store holds in memory: the live entries of a resource in order, and the recent changes. No IO."""

import bisect
from collections.abc import Sequence

from skep.store.backend import Change, Entry, Key


class Live:
    """The entries of one resource, by namespace and name."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}
        self._order: list[tuple[str, str]] = []

    def put(self, entry: Entry) -> None:
        """Add or replace an entry."""
        place = (entry.key.namespace, entry.key.name)
        if place not in self.entries:
            if not self._order or place > self._order[-1]:
                self._order.append(place)
            else:
                bisect.insort(self._order, place)
        self.entries[place] = entry

    def drop(self, key: Key) -> None:
        """Remove an entry that is there."""
        place = (key.namespace, key.name)
        del self.entries[place]
        del self._order[bisect.bisect_left(self._order, place)]

    def sorted(self, namespace: str | None) -> Sequence[Entry]:
        """Return the entries of a namespace, or of all, in order."""
        order = self._order
        if namespace is not None:
            # A name is never empty and namespaces hold no character below the dash, so these bound the namespace.
            order = order[
                bisect.bisect_left(order, (namespace, "")) : bisect.bisect_left(order, (namespace + "\0", ""))
            ]
        entries = self.entries
        return [entries[place] for place in order]


class Recent:
    """The last changes, in order, whole and by resource; older ones are with the backend."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._start = 0
        """Everything after this revision is here."""
        self._all: list[Change] = []
        self._of: dict[str, list[Change]] = {}

    def begin(self, revision: int) -> None:
        """Start empty: what came before a revision is not here."""
        self._start = revision
        self._all = []
        self._of = {}

    def extend(self, changes: Sequence[Change]) -> None:
        """Append changes; forget old ones now and then, so that a change costs the same however many are kept."""
        self._all += changes
        for change in changes:
            self._of.setdefault(change.key.resource, []).append(change)
        if len(self._all) > 2 * self._limit:
            self.forget(self._all[-1].revision - self._limit)

    def forget(self, up_to: int) -> None:
        """Drop the changes up to a revision."""
        if up_to <= self._start:
            return
        self._start = up_to
        self._all = _after(self._all, up_to)
        kept = {resource: _after(changes, up_to) for resource, changes in self._of.items()}
        self._of = {resource: changes for resource, changes in kept.items() if changes}

    def since(self, revision: int, resource: str | None) -> Sequence[Change] | None:
        """Return the changes after a revision; None when some of them are not here any more."""
        if revision < self._start:
            return None
        return _after(self._all if resource is None else self._of.get(resource, []), revision)


def _after(changes: list[Change], revision: int) -> list[Change]:
    return changes[bisect.bisect_right(changes, revision, key=lambda change: change.revision) :]
