"""Objects in one SQLite file: WAL, every commit synced. In: changes with their revisions; out: rows.

One process at a time: a lock file is held while open. Errors name the file and what to do, never more of the URL.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from skep.errors import Expired, Invalid, Unavailable
from skep.store.backend import Change, Entry, Key
from skep.store.migrations.schema import HEAD, SCHEMA

BUSY_TIMEOUT_MS = 5_000
COMPACT_CHUNK = 2_000

_APPEND = text(
    "INSERT INTO changes (revision, resource, namespace, name, deleted, created, document)"
    " VALUES (:revision, :resource, :namespace, :name, :deleted, :created, :document)"
)
_UPSERT = text(
    "INSERT INTO objects (resource, namespace, name, revision, document)"
    " VALUES (:resource, :namespace, :name, :revision, :document)"
    " ON CONFLICT (resource, namespace, name)"
    " DO UPDATE SET revision = excluded.revision, document = excluded.document"
)
_REMOVE = text("DELETE FROM objects WHERE resource = :resource AND namespace = :namespace AND name = :name")
_LOAD = text("SELECT resource, namespace, name, revision, document FROM objects")
_COMPACTED = text("SELECT revision FROM compaction")
_LATEST = text("SELECT max(revision) FROM changes")
_SINCE = text(
    "SELECT revision, resource, namespace, name, document, deleted, created"
    " FROM changes WHERE revision > :revision ORDER BY revision"
)
_MARK_COMPACTED = text("UPDATE compaction SET revision = :up_to WHERE revision < :up_to")
_DROP_LOG = text("DELETE FROM changes WHERE revision <= :up_to")
_TABLES = text("SELECT name FROM sqlite_master WHERE type = 'table'")
_VERSION = text("SELECT version_num FROM alembic_version")


class SqliteBackend:
    """The log and the latest documents in a file."""

    def __init__(self, url: str) -> None:
        self._path = path_from_url(url)
        self._engine: AsyncEngine | None = None
        self._writer: AsyncConnection | None = None
        self._writing = asyncio.Lock()
        self._lock_fd = -1

    async def open(self) -> int:
        """Lock the file, bring its schema up to date and return the latest revision."""
        self._lock()
        try:
            engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(self._path)), pool_size=2)
            listen(engine.sync_engine, "connect", _set_pragmas)
            self._engine = engine
            with self._explained("it could not be opened"):
                await self._migrate(engine)
                async with engine.connect() as connection:
                    compacted = (await connection.execute(_COMPACTED)).scalar_one()
                    latest = (await connection.execute(_LATEST)).scalar_one()
        except BaseException:
            await self.close()
            raise
        return max(int(compacted), int(latest or 0))

    async def load(self) -> Iterable[Entry]:
        """Return every live entry."""
        async with self._reading() as connection:
            rows = (await connection.execute(_LOAD)).all()
        return [Entry(Key(row[0], row[1], row[2]), row[3], row[4]) for row in rows]

    async def commit(self, changes: Sequence[Change]) -> None:
        """Append the changes and apply them, in one synced transaction."""
        rows = [_row(change) for change in changes]
        latest = {change.key: row for change, row in zip(changes, rows, strict=True)}
        kept = [row for row in latest.values() if not row["deleted"]]
        removed = [row for row in latest.values() if row["deleted"]]
        async with self._transaction() as connection:
            await connection.execute(_APPEND, rows)
            if kept:
                await connection.execute(_UPSERT, kept)
            if removed:
                await connection.execute(_REMOVE, removed)

    async def changes_since(self, revision: int) -> Sequence[Change]:
        """Return the log after a revision, in order."""
        async with self._reading() as connection:
            compacted = (await connection.execute(_COMPACTED)).scalar_one()
            if revision < compacted:
                raise Expired(f"the changes since revision {revision} are compacted; list again")
            rows = (await connection.execute(_SINCE, {"revision": revision})).all()
        return [Change(row[0], Key(row[1], row[2], row[3]), row[4], bool(row[5]), bool(row[6])) for row in rows]

    async def compact(self, up_to: int) -> None:
        """Drop the log up to a revision, a piece at a time so that writers get their turn."""
        async with self._reading() as connection:
            first = (await connection.execute(text("SELECT min(revision) FROM changes"))).scalar_one()
            latest = (await connection.execute(_LATEST)).scalar_one()
        if first is None:
            return
        up_to = min(up_to, int(latest))
        for end in [*range(int(first) + COMPACT_CHUNK, up_to, COMPACT_CHUNK), up_to]:
            async with self._transaction() as connection:
                await connection.execute(_MARK_COMPACTED, {"up_to": end})
                await connection.execute(_DROP_LOG, {"up_to": end})

    async def close(self) -> None:
        """Release the connections and the file."""
        writer, self._writer = self._writer, None
        engine, self._engine = self._engine, None
        try:
            if writer is not None:
                await writer.close()
            if engine is not None:
                await engine.dispose()
        finally:
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1

    def _lock(self) -> None:
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"{lock}: {error.strerror}; choose a directory that can be written (data_dir)") from error
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._lock_fd, 32, 0).decode(errors="replace").strip()
            os.close(self._lock_fd)
            self._lock_fd = -1
            who = f"process {holder}" if holder else "another process"
            raise Unavailable(f"{self._path}: {who} has it open; stop it, or choose another data_dir") from error
        self._note_holder()

    def _note_holder(self) -> None:
        try:
            os.ftruncate(self._lock_fd, 0)
            os.pwrite(self._lock_fd, str(os.getpid()).encode(), 0)
        except OSError:  # a full disk: the lock holds without the note
            return

    async def _migrate(self, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            tables = set((await connection.execute(_TABLES)).scalars())
            version = (await connection.execute(_VERSION)).scalar_one_or_none() if "alembic_version" in tables else None
        if version == HEAD:
            return
        async with engine.begin() as connection:
            # The driver begins a transaction only before rows are changed, not before tables are.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            if not tables:
                for statement in SCHEMA:
                    await connection.exec_driver_sql(statement)
                return
            # Imported here: it costs 12 MB, and is rarely needed.
            from skep.store.migrations.upgrade import upgrade

            await connection.run_sync(upgrade)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        if self._engine is None:
            raise Unavailable(f"{self._path}: the store is closed")
        with self._explained("it could not be read"):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        """Hold the one writing connection; it is kept checked out because checking out costs as much as a commit."""
        async with self._writing:
            if self._engine is None:
                raise Unavailable(f"{self._path}: the store is closed")
            with self._explained("nothing was written"):
                if self._writer is None:
                    self._writer = await self._engine.connect()
                try:
                    async with self._writer.begin():
                        yield self._writer
                except DBAPIError:
                    writer, self._writer = self._writer, None
                    await writer.close()
                    raise

    def _explained(self, outcome: str) -> "_Explained":
        return _Explained(self._path, outcome)


class _Explained:
    """Turns the database's errors into `Unavailable` with the file, the outcome and the remedy."""

    def __init__(self, path: Path, outcome: str) -> None:
        self._path = path
        self._outcome = outcome

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, DBAPIError | sqlite3.Error | OSError):
            return
        cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        raise Unavailable(f"{self._path}: {cause}; {self._outcome}; {_remedy(cause)}") from error


def _remedy(cause: str) -> str:
    lowered = cause.lower()
    if "full" in lowered or "disk i/o error" in lowered:
        return "free space on its disk, then try again"
    if "locked" in lowered or "busy" in lowered:
        return "another program has it locked: end that program, then try again"
    if "readonly" in lowered or "unable to open" in lowered or "permission" in lowered:
        return "make the file and its directory writable for this user"
    if "not a database" in lowered or "malformed" in lowered:
        return "it is damaged: restore a copy, or move it away to begin anew"
    return "see the server's log"


def path_from_url(url: str) -> Path:
    """Take the file's path from `sqlite://` and an absolute path; a fourth slash, as SQLAlchemy writes it, is let pass."""
    _, _, rest = url.partition("://")
    if rest.startswith("//"):
        rest = rest[1:]
    if not rest.startswith("/") or rest == "/" or "?" in rest:
        raise Invalid("store: a SQLite URL is `sqlite://` and the absolute path of a file, with no options")
    return Path(rest)


def _row(change: Change) -> dict[str, Any]:
    return {
        "revision": change.revision,
        "resource": change.key.resource,
        "namespace": change.key.namespace,
        "name": change.key.name,
        "deleted": change.deleted,
        "created": change.created,
        "document": change.document,
    }


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
