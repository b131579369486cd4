"""A backend that forgets when it is dropped: for tests, and for trying things out. Same contract, no disk."""

from collections.abc import Iterable, Sequence

from skep.errors import Expired
from skep.store.backend import Change, Entry, Key


class MemoryBackend:
    """Keeps the log and the latest documents in dictionaries."""

    def __init__(self, url: str = "memory:") -> None:
        self._url = url
        self._latest: dict[Key, Entry] = {}
        self._log: list[Change] = []
        self._compacted = 0

    async def open(self) -> int:
        """Return the latest revision; what was committed before a close is still there."""
        return self._log[-1].revision if self._log else self._compacted

    async def load(self) -> Iterable[Entry]:
        """Return every live entry."""
        return list(self._latest.values())

    async def commit(self, changes: Sequence[Change]) -> None:
        """Append the changes and apply them."""
        self._log.extend(changes)
        for change in changes:
            if change.deleted:
                self._latest.pop(change.key, None)
            else:
                self._latest[change.key] = Entry(change.key, change.revision, change.document)

    async def changes_since(self, revision: int) -> Sequence[Change]:
        """Return the log after a revision."""
        if revision < self._compacted:
            raise Expired(f"the changes since revision {revision} are compacted; list again")
        return [change for change in self._log if change.revision > revision]

    async def compact(self, up_to: int) -> None:
        """Drop the log up to a revision."""
        up_to = min(up_to, await self.open())
        self._log = [change for change in self._log if change.revision > up_to]
        self._compacted = max(self._compacted, up_to)

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""
