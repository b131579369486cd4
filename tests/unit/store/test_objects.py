"""uid, creationTimestamp, generation and resourceVersion follow the conventions."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from skep.clock import FakeClock
from skep.errors import Conflict, NotFound
from skep.store.backend import Key
from skep.store.backends.memory import MemoryBackend
from skep.store.objects import (
    create_object,
    decode,
    delete_object,
    encode,
    meta_of,
    update_object,
    update_status,
)
from skep.store.store import Store

KEY = Key("services", "shop", "orders")
DOCUMENT: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}}


def with_store(test: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = Store(MemoryBackend())
        await store.open()
        await test(store)
        await store.close()

    asyncio.run(run())


def test_a_new_object_gets_its_identity() -> None:
    async def test(store: Store) -> None:
        document = {**DOCUMENT, "metadata": {"name": "x", "uid": "mine", "generation": 9, "labels": {"a": "b"}}}
        entry = await create_object(store, KEY, document, FakeClock())
        read = decode(entry)
        uid = read["metadata"].pop("uid")
        assert len(uid) == 36
        assert read["metadata"] == {
            "name": "orders",
            "namespace": "shop",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
            "labels": {"a": "b"},
            "resourceVersion": "1",
        }
        assert b"resourceVersion" not in entry.document
        assert meta_of(read).labels == {"a": "b"}
        assert meta_of(read).created == "2026-01-01T00:00:00Z"

    with_store(test)


def test_generation_rises_with_the_spec_alone() -> None:
    async def test(store: Store) -> None:
        read = decode(await create_object(store, KEY, DOCUMENT, FakeClock()))
        labelled = {**read, "metadata": {**read["metadata"], "labels": {"a": "b"}}, "status": {"x": 1}}
        assert decode(await update_object(store, KEY, labelled))["metadata"]["generation"] == 1
        changed = decode(await update_object(store, KEY, {**labelled, "spec": {"ports": []}}))
        assert changed["metadata"]["generation"] == 2
        assert changed["metadata"]["uid"] == read["metadata"]["uid"]

    with_store(test)


def test_what_is_ours_cannot_be_changed_by_an_update() -> None:
    async def test(store: Store) -> None:
        read = decode(await create_object(store, KEY, DOCUMENT, FakeClock()))
        forged = {**DOCUMENT, "metadata": {"name": "y", "namespace": "z", "uid": "u", "creationTimestamp": "t"}}
        entry = await update_object(store, KEY, forged)
        for name in ("name", "namespace", "uid", "creationTimestamp"):
            assert decode(entry)["metadata"][name] == read["metadata"][name]

    with_store(test)


def test_nothing_is_written_when_nothing_changed() -> None:
    async def test(store: Store) -> None:
        entry = await create_object(store, KEY, DOCUMENT, FakeClock())
        assert await update_object(store, KEY, dict(reversed(decode(entry).items()))) == entry
        with_status = await update_status(store, KEY, {"ready": True})
        assert await update_status(store, KEY, {"ready": True}) == with_status
        assert store.revision.value == 2

    with_store(test)


def test_an_update_of_an_old_revision_conflicts_even_when_it_changes_nothing() -> None:
    async def test(store: Store) -> None:
        entry = await create_object(store, KEY, DOCUMENT, FakeClock())
        await update_status(store, KEY, {"ready": True})
        with pytest.raises(Conflict, match="shop/orders"):
            await update_object(store, KEY, decode(store.get(KEY)), expect=entry.revision)

    with_store(test)


def test_a_status_is_set_in_spite_of_other_writers_and_keeps_their_spec() -> None:
    async def test(store: Store) -> None:
        entry = await create_object(store, KEY, DOCUMENT, FakeClock())
        async with asyncio.TaskGroup() as group:
            for n in range(5):
                group.create_task(update_object(store, KEY, {**decode(entry), "spec": {"n": n}}))
                group.create_task(update_status(store, KEY, {"seen": n}))
        read = decode(store.get(KEY))
        assert read["status"]["seen"] in range(5)
        assert read["spec"]["n"] in range(5)

    with_store(test)


def test_a_status_of_what_was_observed_is_not_written_to_something_newer() -> None:
    async def test(store: Store) -> None:
        entry = await create_object(store, KEY, DOCUMENT, FakeClock())
        await update_object(store, KEY, {**DOCUMENT, "spec": {}})
        with pytest.raises(Conflict):
            await update_status(store, KEY, {"ready": True}, observed_revision=entry.revision)

    with_store(test)


def test_a_deleted_object_is_gone() -> None:
    async def test(store: Store) -> None:
        await create_object(store, KEY, DOCUMENT, FakeClock())
        await delete_object(store, KEY)
        with pytest.raises(NotFound):
            await update_status(store, KEY, {})

    with_store(test)


def test_one_spelling_for_each_document() -> None:
    assert encode({"b": 1, "a": {"d": 1, "c": 2}}) == encode({"a": {"c": 2, "d": 1}, "b": 1})
    assert encode({"metadata": {"name": "x", "resourceVersion": "4"}}) == b'{"metadata":{"name":"x"}}'
