"""What is remembered of refusals, in a real store."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.pipeline.rulings import RESOURCE, Ruling, Rulings
from skep.store.backends.memory import MemoryBackend
from skep.store.store import Store
from tests.support.declared import resource_of
from tests.support.manifests import http_route, to

REF = ObjectRef(GATEWAY_GROUP, "HTTPRoute", "default", "shop")
EARLIER = resource_of(http_route(hostnames=["shop.example"], rules=[{"backendRefs": [to("orders")], "unknown": 1}]))
RULING = Ruling(REF, 2, "too large", EARLIER)


def with_store(test: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = Store(MemoryBackend())
        await store.open()
        await test(store)
        await store.close()

    asyncio.run(run())


async def written(store: Store, rulings: Rulings, count: int) -> None:
    """Let it write until the store holds so many."""
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(rulings.run())
        while len(store.list(RESOURCE)[0]) != count:  # noqa: ASYNC110  a deadline is set
            await asyncio.sleep(0.01)
        task.cancel()


def test_a_ruling_is_the_same_after_a_restart() -> None:
    async def test(store: Store) -> None:
        other = replace(RULING, ref=replace(REF, name="other"), earlier=None)
        rulings = Rulings(store)
        rulings.keep(REF, RULING)
        rulings.keep(other.ref, other)
        await written(store, rulings, 2)
        assert sorted(Rulings(store).load(lambda _: 2), key=lambda found: found.ref) == [other, RULING]

    with_store(test)


def test_what_was_ruled_on_another_generation_is_forgotten() -> None:
    async def test(store: Store) -> None:
        rulings = Rulings(store)
        rulings.keep(REF, RULING)
        await written(store, rulings, 1)
        again = Rulings(store)
        assert list(again.load(lambda _: 3)) == []
        await written(store, again, 0)

    with_store(test)


def test_what_is_taken_back_is_forgotten() -> None:
    async def test(store: Store) -> None:
        rulings = Rulings(store)
        rulings.keep(REF, RULING)
        await written(store, rulings, 1)
        rulings.keep(REF, None)
        await written(store, rulings, 0)
        assert list(rulings.load(lambda _: 2)) == []

    with_store(test)
