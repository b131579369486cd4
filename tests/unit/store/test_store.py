"""Writes are checked, grouped and seen at once; reads go on whatever the disk does."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from skep.clock import FakeClock
from skep.errors import Conflict, Expired, Invalid, NotFound, Unavailable
from skep.store.backend import Change, Key, open_backend
from skep.store.backends.memory import MemoryBackend
from skep.store.store import Create, Delete, Store, Update

A, B, C = (Key("services", "shop", name) for name in "abc")


class SlowBackend(MemoryBackend):
    """Commits when told to, and notes the size of each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.sizes: list[int] = []
        self.failure: Exception | None = None

    async def commit(self, changes: Sequence[Change]) -> None:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.sizes.append(len(changes))
        await super().commit(changes)


def with_store(test: Callable[[Store], Awaitable[None]], **options: float) -> None:
    async def run() -> None:
        store = Store(MemoryBackend(), clock=FakeClock(), **options)  # type: ignore[arg-type]
        await store.open()
        await test(store)
        await store.close()

    asyncio.run(run())


def test_a_written_object_is_read_at_its_revision() -> None:
    async def test(store: Store) -> None:
        (entry,) = await store.write([Create(A, b"1")])
        assert (entry.revision, store.revision.value, store.get(A)) == (1, 1, entry)
        (entry,) = await store.write([Update(A, b"2", expect=1)])
        assert (entry.revision, store.get(A).document) == (2, b"2")
        (entry,) = await store.write([Delete(A, expect=2)])
        assert (entry.revision, entry.document, store.find(A)) == (3, b"2", None)

    with_store(test)


def test_conflicts_name_the_object_and_write_nothing() -> None:
    async def test(store: Store) -> None:
        await store.write([Create(A, b"1")])
        with pytest.raises(Conflict, match='services "shop/a" already exists'):
            await store.write([Create(B, b"x"), Create(A, b"x")])
        with pytest.raises(Conflict, match='services "shop/a" has changed: you saw revision 7, it is at 1'):
            await store.write([Create(B, b"x"), Update(A, b"x", expect=7)])
        with pytest.raises(NotFound, match='services "shop/c" not found'):
            await store.write([Create(B, b"x"), Delete(C)])
        with pytest.raises(NotFound, match="shop/b"):
            store.get(B)
        assert store.revision.value == 1

    with_store(test)


def test_a_list_is_in_order_and_of_its_namespace() -> None:
    async def test(store: Store) -> None:
        keys = [Key("services", ns, n) for ns, n in [("b", "z"), ("a", "y"), ("a-1", "a"), ("b", "a"), ("a", "b")]]
        await store.write([Create(key, b"") for key in keys])
        await store.write([Delete(keys[3])])
        entries, revision = store.list("services")
        assert [(e.key.namespace, e.key.name) for e in entries] == [("a", "b"), ("a", "y"), ("a-1", "a"), ("b", "z")]
        assert revision == 6
        assert [e.key.name for e in store.list("services", "a")[0]] == ["b", "y"]
        assert list(store.list("services", "none")[0]) == list(store.list("pods")[0]) == []

    with_store(test)


def test_concurrent_writes_share_a_commit_and_fail_alone() -> None:
    async def run() -> None:
        backend = SlowBackend()
        store = Store(backend)
        await store.open()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(store.write([Create(A, b"1")]))
            await asyncio.sleep(0)
            others = [group.create_task(store.write([Create(Key("pods", "n", str(i)), b"")])) for i in range(50)]

            async def conflicting() -> None:
                with pytest.raises(Conflict):
                    await store.write([Create(A, b"again")])

            group.create_task(conflicting())
            await asyncio.sleep(0)
            backend.gate.set()
        assert first.result()[0].revision == 1
        assert [task.result()[0].revision for task in others] == list(range(2, 52))
        assert backend.sizes in ([1, 50], [51])
        await store.close()

    asyncio.run(run())


def test_a_failed_commit_changes_nothing_and_the_next_one_works() -> None:
    async def run() -> None:
        backend = SlowBackend()
        backend.gate.set()
        store = Store(backend)
        await store.open()
        await store.write([Create(A, b"1")])
        backend.failure = Unavailable("disk full; nothing was written")
        with pytest.raises(Unavailable, match="nothing was written"):
            await store.write([Update(A, b"2")])
        assert (store.get(A).document, store.revision.value) == (b"1", 1)
        assert list(await store.changes_since(1)) == []
        assert "disk full" in store.trouble
        backend.failure = None
        (entry,) = await store.write([Update(A, b"3", expect=1)])
        assert entry.revision == 2
        assert not store.trouble
        await store.close()

    asyncio.run(run())


def test_a_bug_in_the_backend_reaches_the_caller_and_not_the_next_one() -> None:
    async def run() -> None:
        backend = SlowBackend()
        backend.gate.set()
        backend.failure = ZeroDivisionError()
        store = Store(backend)
        await store.open()
        with pytest.raises(ZeroDivisionError):
            await store.write([Create(A, b"1")])
        backend.failure = None
        await store.write([Create(A, b"1")])
        await store.close()

    asyncio.run(run())


def test_a_cancelled_writer_does_not_stop_the_others() -> None:
    async def run() -> None:
        backend = SlowBackend()
        store = Store(backend)
        await store.open()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(store.write([Create(A, b"1")]))
            await asyncio.sleep(0)
            second = group.create_task(store.write([Create(B, b"2")]))
            third = group.create_task(store.write([Create(C, b"3")]))
            await asyncio.sleep(0)
            first.cancel()
            second.cancel()
            await asyncio.sleep(0)
            backend.gate.set()
        assert store.find(C) is not None
        assert store.find(B) is None, "it was cancelled before its commit began"
        assert third.result()[0] == store.get(C)
        await store.close()

    asyncio.run(run())


def test_a_close_finishes_what_was_accepted_and_refuses_the_rest() -> None:
    async def run() -> None:
        backend = SlowBackend()
        store = Store(backend)
        await store.open()
        async with asyncio.TaskGroup() as group:
            write = group.create_task(store.write([Create(A, b"1")]))
            await asyncio.sleep(0)
            closing = group.create_task(store.close())
            await asyncio.sleep(0)
            assert not closing.done()
            with pytest.raises(Unavailable):
                await store.write([Create(B, b"2")])
            backend.gate.set()
        assert write.result()[0].revision == 1

    asyncio.run(run())


def test_changes_are_told_in_order_whole_and_by_resource() -> None:
    async def test(store: Store) -> None:
        pod = Key("pods", "shop", "p")
        await store.write([Create(A, b"1"), Create(pod, b"p"), Update(A, b"2")])
        await store.write([Delete(A)])
        assert list(await store.changes_since(0)) == [
            Change(1, A, b"1", created=True),
            Change(2, pod, b"p", created=True),
            Change(3, A, b"2"),
            Change(4, A, b"2", deleted=True),
        ]
        assert [c.revision for c in await store.changes_since(1, "services")] == [3, 4]
        assert list(await store.changes_since(4)) == list(await store.changes_since(2, "pods")) == []

    with_store(test)


def test_changes_of_a_revision_that_never_was_ask_for_a_new_list() -> None:
    async def test(store: Store) -> None:
        with pytest.raises(Expired, match="list again"):
            await store.changes_since(5)

    with_store(test)


def test_older_changes_come_from_the_backend_until_they_are_compacted() -> None:
    async def test(store: Store) -> None:
        for n in range(30):
            await store.write([Create(Key("pods" if n % 2 else "services", "n", f"p{n:02}"), b"")])
        assert len(await store.changes_since(0)) == 30
        assert [c.revision for c in await store.changes_since(25, "pods")] == [26, 28, 30]
        await store.compact(20)
        assert len(await store.changes_since(20)) == 10
        with pytest.raises(Expired):
            await store.changes_since(19)
        assert len(store.list("pods")[0]) == 15

    with_store(test, retain_changes=5)


@pytest.mark.parametrize(("retain_changes", "retain_s", "kept"), [(10, 60.0, 10), (10, 1e9, 210), (1000, 0.0, 500)])
def test_the_log_is_kept_short_by_number_and_by_age(retain_changes: int, retain_s: float, kept: int) -> None:
    async def run() -> None:
        clock = FakeClock()
        backend = MemoryBackend()
        store = Store(backend, clock=clock, retain_changes=retain_changes, retain_s=retain_s)
        await store.open()
        await store.write([Create(Key("pods", "n", f"{n}"), b"") for n in range(500)])
        runner = asyncio.get_running_loop().create_task(store.run(every_s=0.0))
        for _ in range(20):
            await asyncio.sleep(0)
        clock.advance(61)
        for _ in range(20):
            await asyncio.sleep(0)
        runner.cancel()
        first = 500 - kept
        assert len(await store.changes_since(first)) == kept
        if first:
            with pytest.raises(Expired):
                await store.changes_since(first - 1)
        await store.close()

    asyncio.run(run())


def test_what_was_there_is_loaded_on_opening() -> None:
    async def run() -> None:
        backend = MemoryBackend()
        store = Store(backend)
        await store.open()
        await store.write([Create(B, b"b"), Create(A, b"a")])
        await store.close()
        again = Store(backend)
        await again.open()
        assert [entry.document for entry in again.list("services")[0]] == [b"a", b"b"]
        assert again.revision.value == 2
        assert len(await again.changes_since(0)) == 2
        await again.close()

    asyncio.run(run())


@pytest.mark.parametrize("url", ["mysql://me:secret@host/db", "nothing", "sqlite://", "sqlite://relative.db"])
def test_a_url_of_no_known_store_is_refused_without_showing_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        open_backend(url, tmp_path)
    assert "secret" not in str(caught.value)
