"""What a database must do for the store, and which URL picks which. `backends/` hold only SQL and error translation."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import msgspec

from skep.errors import Invalid

BACKENDS: Mapping[str, str] = {
    "sqlite": "skep.store.backends.sqlite:SqliteBackend",
    "memory": "skep.store.backends.memory:MemoryBackend",
}
"""URL scheme -> module:class, as text: a backend's library is imported only when it is used."""
DATABASE_FILE = "skep.db"


class Key(msgspec.Struct, frozen=True, order=True):
    """Where an object is kept."""

    resource: str
    """Plural and group, as in URLs: `httproutes.gateway.networking.k8s.io`, `services` for the core group."""
    namespace: str
    """Empty for cluster-scoped resources."""
    name: str


class Entry(msgspec.Struct, frozen=True):
    """One object as kept: its JSON document without `metadata.resourceVersion`, and the revision that wrote it."""

    key: Key
    revision: int
    document: bytes


class Change(msgspec.Struct, frozen=True):
    """One line of the log: `document` is the object after the write, or before it when it was deleted."""

    revision: int
    key: Key
    document: bytes
    deleted: bool = False
    created: bool = False


class Backend(Protocol):
    """A durable log of changes and the latest document of each key.

    `commit` is atomic and durable when it returns: all changes or none survive a crash of this process. Revisions rise
    by one for each change, over the whole database, and are never used twice. Failures of the database raise
    `Unavailable` with what to do; its reads keep working when it cannot write.
    """

    async def open(self) -> int:
        """Create or migrate the schema; return the latest revision."""
        ...

    async def load(self) -> Iterable[Entry]:
        """Return every live entry."""
        ...

    async def commit(self, changes: Sequence[Change]) -> None:
        """Append the changes, whose revisions the store has assigned, and apply them to the latest documents."""
        ...

    async def changes_since(self, revision: int) -> Sequence[Change]:
        """Return the log after a revision, in order; raise `Expired` when part of it is compacted."""
        ...

    async def compact(self, up_to: int) -> None:
        """Drop the log up to a revision, that one included."""
        ...

    async def close(self) -> None:
        """Release the database."""
        ...


def open_backend(url: str, data_dir: Path) -> Backend:
    """Build the backend that a URL names; an empty one means SQLite in the data directory. Nothing is opened yet."""
    if not url:
        url = f"sqlite://{data_dir / DATABASE_FILE}"
    scheme, separator, _ = url.partition(":")
    target = BACKENDS.get(scheme.partition("+")[0])
    if target is None or not separator:
        known = ", ".join(f"{name}:" for name in BACKENDS)
        raise Invalid(f"store: `{scheme}` is not a kind of store; the URL starts with one of {known}")
    module, _, name = target.partition(":")
    return cast("Backend", getattr(importlib.import_module(module), name)(url))
