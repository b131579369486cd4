"""One suite for every backend of the store."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from skep.errors import Expired
from skep.store.backend import Backend, Change, Entry, Key, open_backend

A = Key("services", "shop", "a")
B = Key("gatewayclasses.gateway.networking.k8s.io", "", "b")


@pytest.fixture(params=["sqlite", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Backend]:
    """Return what opens the same database again and again; the fake lives as long as the test."""
    if request.param == "sqlite":
        return lambda: open_backend("", tmp_path)
    backend = open_backend("memory:", tmp_path)
    return lambda: backend


def script(make: Callable[[], Backend], *steps: Callable[[Backend], Awaitable[None]]) -> None:
    """Run each step on a freshly opened database."""

    async def run() -> None:
        for step in steps:
            backend = make()
            await backend.open()
            try:
                await step(backend)
            finally:
                await backend.close()

    asyncio.run(run())


def test_a_new_database_is_empty_and_at_revision_zero(make: Callable[[], Backend]) -> None:
    async def run() -> None:
        backend = make()
        assert await backend.open() == 0
        assert list(await backend.load()) == []
        assert list(await backend.changes_since(0)) == []
        await backend.close()

    asyncio.run(run())


def test_what_was_committed_is_there_after_reopening(make: Callable[[], Backend]) -> None:
    changes = [Change(1, A, b"1", created=True), Change(2, B, b"2", created=True), Change(3, A, b"3")]

    async def write(backend: Backend) -> None:
        await backend.commit(changes)

    async def read(backend: Backend) -> None:
        assert sorted(await backend.load(), key=lambda entry: entry.key) == [Entry(B, 2, b"2"), Entry(A, 3, b"3")]
        assert list(await backend.changes_since(0)) == changes
        assert list(await backend.changes_since(2)) == changes[2:]

    script(make, write, read)


def test_a_deleted_object_is_gone_and_its_change_holds_its_last_document(make: Callable[[], Backend]) -> None:
    async def write(backend: Backend) -> None:
        await backend.commit([Change(1, A, b"1", created=True)])
        await backend.commit([Change(2, A, b"1", deleted=True)])

    async def read(backend: Backend) -> None:
        assert list(await backend.load()) == []
        assert list(await backend.changes_since(1)) == [Change(2, A, b"1", deleted=True)]

    script(make, write, read)


def test_one_commit_may_write_the_same_object_twice(make: Callable[[], Backend]) -> None:
    async def step(backend: Backend) -> None:
        await backend.commit([Change(1, A, b"1", created=True), Change(2, A, b"1", deleted=True)])
        await backend.commit([Change(3, A, b"3", created=True), Change(4, A, b"4")])
        assert list(await backend.load()) == [Entry(A, 4, b"4")]

    script(make, step)


def test_a_compacted_log_says_so_and_keeps_documents_and_revision(make: Callable[[], Backend]) -> None:
    async def write(backend: Backend) -> None:
        await backend.commit([Change(n, Key("services", "shop", f"s{n}"), b"x", created=True) for n in range(1, 11)])
        await backend.compact(10)

    async def run() -> None:
        backend = make()
        await backend.open()
        await write(backend)
        await backend.close()
        backend = make()
        assert await backend.open() == 10
        assert len(list(await backend.load())) == 10
        assert list(await backend.changes_since(10)) == []
        with pytest.raises(Expired):
            await backend.changes_since(9)
        await backend.commit([Change(11, A, b"x", created=True)])
        assert [change.revision for change in await backend.changes_since(10)] == [11]
        await backend.close()

    asyncio.run(run())


def test_compacting_part_of_a_long_log_keeps_the_rest(make: Callable[[], Backend]) -> None:
    async def step(backend: Backend) -> None:
        total = 7_000
        await backend.commit([Change(n, A, b"x", created=n == 1) for n in range(1, total + 1)])
        await backend.compact(6_500)
        await backend.compact(6_000)
        kept = await backend.changes_since(6_500)
        assert [change.revision for change in kept] == list(range(6_501, total + 1))
        with pytest.raises(Expired):
            await backend.changes_since(6_499)

    script(make, step)


def test_compacting_an_empty_log_does_nothing(make: Callable[[], Backend]) -> None:
    async def step(backend: Backend) -> None:
        await backend.compact(5)
        await backend.commit([Change(1, A, b"x", created=True)])
        assert len(await backend.changes_since(0)) == 1

    script(make, step)


def test_documents_keep_every_byte(make: Callable[[], Backend]) -> None:
    document = bytes(range(256)) * 4_096

    async def write(backend: Backend) -> None:
        await backend.commit([Change(1, A, document, created=True)])

    async def read(backend: Backend) -> None:
        (entry,) = await backend.load()
        assert entry.document == document

    script(make, write, read)
