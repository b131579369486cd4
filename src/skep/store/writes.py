"""What may be written, and the changes that a group of writes comes to. Pure: no database, no waiting."""

from collections.abc import Callable, Sequence

import msgspec

from skep.errors import Conflict, NotFound
from skep.store.backend import Change, Entry, Key


class Create(msgspec.Struct, frozen=True):
    """Add an object that must not exist."""

    key: Key
    document: bytes


class Update(msgspec.Struct, frozen=True):
    """Replace an object that must exist; `expect` is the revision its author saw, None for any."""

    key: Key
    document: bytes
    expect: int | None = None


class Delete(msgspec.Struct, frozen=True):
    """Remove an object that must exist; `expect` is the revision its author saw, None for any."""

    key: Key
    expect: int | None = None


Write = Create | Update | Delete


def describe(key: Key) -> str:
    """Name an object as users do: `services "shop/orders"`."""
    return f'{key.resource} "{key.namespace}/{key.name}"' if key.namespace else f'{key.resource} "{key.name}"'


class Plan:
    """The changes of one commit: each request sees what the ones before it did, and is in it whole or not at all."""

    def __init__(self, find: Callable[[Key], Entry | None], revision: int) -> None:
        self.changes: list[Change] = []
        self._find = find
        self._revision = revision
        self._written: dict[Key, Entry | None] = {}

    def add(self, writes: Sequence[Write]) -> list[Entry]:
        """Check one request and append its changes; raise `Conflict` or `NotFound` and append none."""
        changes: list[Change] = []
        entries: list[Entry] = []
        written: dict[Key, Entry | None] = {}
        revision = self._revision
        for write in writes:
            revision += 1
            key = write.key
            if key in written:
                present = written[key]
            else:
                present = self._written[key] if key in self._written else self._find(key)
            change = change_for(write, present, revision)
            entry = Entry(key, revision, change.document)
            written[key] = None if change.deleted else entry
            changes.append(change)
            entries.append(entry)
        self.changes += changes
        self._written |= written
        self._revision = revision
        return entries


def change_for(write: Write, present: Entry | None, revision: int) -> Change:
    """Return what a write does to the present entry; raise `Conflict` or `NotFound`."""
    if isinstance(write, Create):
        if present is not None:
            raise Conflict(f"{describe(write.key)} already exists")
        return Change(revision, write.key, write.document, created=True)
    if present is None:
        raise NotFound(f"{describe(write.key)} not found")
    if write.expect is not None and write.expect != present.revision:
        raise Conflict(
            f"{describe(write.key)} has changed: you saw revision {write.expect}, it is at {present.revision};"
            " read it again and retry"
        )
    if isinstance(write, Delete):
        return Change(revision, write.key, present.document, deleted=True)
    return Change(revision, write.key, write.document)
