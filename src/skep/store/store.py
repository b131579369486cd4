"""Objects, durable and watchable. Reads come from memory at once; writes are checked here and grouped into commits.

In: writes with the revision their author saw. Out: entries, and the changes since a revision. Knows nothing of kinds.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from skep.clock import Clock, SystemClock
from skep.errors import Conflict, Expired, NotFound, Unavailable
from skep.store.backend import Backend, Change, Entry, Key
from skep.store.memory import Live, Recent
from skep.store.writes import Create, Delete, Plan, Update, Write, describe
from skep.watch import Cell

__all__ = ["Create", "Delete", "Store", "Update", "Write"]

GROUP_LIMIT = 2_000
"""Changes in one commit; more wait for the next, so that no write waits for long."""


TROUBLE_S = 30.0
"""For so long a write that failed is told, when none was tried since."""


class _Request:
    """Writes that wait for the next commit, and who waits for them."""

    __slots__ = ("entries", "future", "writes")

    def __init__(self, writes: Sequence[Write], future: "asyncio.Future[Sequence[Entry]]") -> None:
        self.writes = writes
        self.future = future
        self.entries: list[Entry] = []


class Store:
    """The documents of every resource.

    `write` is atomic, and durable when it returns; concurrent calls share a commit. A write whose caller is cancelled
    may still happen. One process may use a backend at a time.
    """

    def __init__(
        self, backend: Backend, *, clock: Clock | None = None, retain_changes: int = 10_000, retain_s: float = 300.0
    ) -> None:
        self.revision: Cell[int] = Cell(0)
        self._backend = backend
        self._clock = clock or SystemClock()
        self._retain_changes = retain_changes
        self._retain_s = retain_s
        self._live: dict[str, Live] = {}
        self._recent = Recent(retain_changes)
        self._queue: list[_Request] = []
        self._committer: asyncio.Task[None] | None = None
        self._open = False
        self._failure: tuple[float, str] | None = None

    @property
    def trouble(self) -> str:
        """Say why writes fail; empty when the last one did not, or was long ago."""
        if self._failure is None or self._clock.monotonic() - self._failure[0] > TROUBLE_S:
            return ""
        return f"the last write failed: {self._failure[1]}"

    async def open(self) -> None:
        """Read every live document into memory."""
        revision = await self._backend.open()
        for entry in await self._backend.load():
            self._live_of(entry.key.resource).put(entry)
        self._recent.begin(revision)
        self.revision.set(revision)
        self._open = True

    def get(self, key: Key) -> Entry:
        """Return one entry; raise `NotFound`."""
        entry = self.find(key)
        if entry is None:
            raise NotFound(f"{describe(key)} not found")
        return entry

    def find(self, key: Key) -> Entry | None:
        """Return one entry, or None."""
        live = self._live.get(key.resource)
        return None if live is None else live.entries.get((key.namespace, key.name))

    def list(self, resource: str, namespace: str | None = None) -> tuple[Sequence[Entry], int]:
        """Return the entries by namespace and name, and the revision at which that is the whole truth."""
        live = self._live.get(resource)
        return ([] if live is None else live.sorted(namespace)), self.revision.value

    async def write(self, writes: Sequence[Write]) -> Sequence[Entry]:
        """Do all of it or none; return the entries as written, of a deleted object its last one."""
        if not self._open:
            raise Unavailable("the store is closed; nothing was written")
        if not writes:
            return ()
        request = _Request(writes, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        if self._committer is None:
            # Held here until it ends and awaited by close(): one writer's cancellation must not stop the others.
            self._committer = asyncio.create_task(self._commit_queue(), name="store-commit")  # noqa: TID251
        return await request.future

    async def changes_since(self, revision: int, resource: str | None = None) -> Sequence[Change]:
        """Return what changed after a revision, in order; raise `Expired` when that is no longer known."""
        if revision > self.revision.value:
            raise Expired(f"revision {revision} is not reached: the latest is {self.revision.value}; list again")
        recent = self._recent.since(revision, resource)
        if recent is not None:
            return recent
        now = self.revision.value
        older = await self._backend.changes_since(revision)
        return [c for c in older if c.revision <= now and (resource is None or c.key.resource == resource)]

    async def compact(self, up_to: int) -> None:
        """Forget the changes up to a revision; the documents stay."""
        await self._backend.compact(min(up_to, self.revision.value))
        self._recent.forget(up_to)

    async def run(self, every_s: float = 30.0) -> None:
        """Keep the log short for ever: what is neither among the last changes nor recent is compacted."""
        marks: list[tuple[float, int]] = []
        while True:
            now = self._clock.monotonic()
            marks.append((now, self.revision.value))
            old = [revision for moment, revision in marks if moment <= now - self._retain_s]
            marks = [mark for mark in marks if mark[0] > now - self._retain_s]
            beyond = self.revision.value - self._retain_changes
            # However busy the store, the log holds at most twenty times what is kept in memory.
            up_to = max(min(max(old, default=0), beyond), beyond - 20 * self._retain_changes)
            if up_to > 0:
                # The disk may be full or locked: writers hear of it, and the next round tries again.
                with contextlib.suppress(Unavailable):
                    await self.compact(up_to)
            await asyncio.sleep(every_s)

    async def close(self) -> None:
        """Finish the writes that were accepted and release the backend."""
        self._open = False
        while self._committer is not None:
            await asyncio.wait([self._committer])
        await self._backend.close()

    async def _commit_queue(self) -> None:
        try:
            while self._queue:
                await self._commit_group(self._take())
        finally:
            self._committer = None
            self._fail(self._queue, Unavailable("the store stopped; nothing was written"))
            self._queue = []

    def _take(self) -> Sequence[_Request]:
        size = 0
        for taken, request in enumerate(self._queue):
            size += len(request.writes)
            if size > GROUP_LIMIT and taken:
                break
        else:
            taken = len(self._queue)
        group, self._queue = self._queue[:taken], self._queue[taken:]
        return group

    async def _commit_group(self, group: Sequence[_Request]) -> None:
        plan = Plan(self.find, self.revision.value)
        accepted: list[_Request] = []
        for request in group:
            if request.future.cancelled():
                continue
            try:
                request.entries = plan.add(request.writes)
            except (Conflict, NotFound) as error:
                self._fail([request], error)
            else:
                accepted.append(request)
        try:
            if plan.changes:
                await self._backend.commit(plan.changes)
        except asyncio.CancelledError:
            self._fail(accepted, Unavailable("the store stopped while it wrote; read again to see what was written"))
            raise
        except Exception as error:  # noqa: BLE001  handed to every caller of the group, who raises it; memory is as it was
            self._failure = (self._clock.monotonic(), str(error) or type(error).__name__)
            self._fail(accepted, error)
            return
        if plan.changes:
            self._failure = None
        self._apply(plan.changes)
        for request in accepted:
            if not request.future.done():
                request.future.set_result(request.entries)

    def _apply(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        for change in changes:
            live = self._live_of(change.key.resource)
            if change.deleted:
                live.drop(change.key)
            else:
                live.put(Entry(change.key, change.revision, change.document))
        self._recent.extend(changes)
        self.revision.set(changes[-1].revision)

    def _live_of(self, resource: str) -> Live:
        live = self._live.get(resource)
        if live is None:
            live = self._live[resource] = Live()
        return live

    @staticmethod
    def _fail(requests: Iterable[_Request], error: Exception) -> None:
        for request in requests:
            if not request.future.done():
                request.future.set_exception(error)
