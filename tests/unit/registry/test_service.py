import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
import pytest

from skep.clock import FakeClock
from skep.errors import Invalid, Unavailable
from skep.model.instance import Health, Instance
from skep.model.names import InstanceId, Namespace, ServiceId, ServiceName
from skep.registry.service import Registry
from skep.store.backend import Change
from skep.store.backends.memory import MemoryBackend
from skep.store.store import Store

ORDERS = ServiceId(Namespace("default"), ServiceName("orders"))


class FullDisk(MemoryBackend):
    """A memory backend that refuses to write while it is full."""

    full = False

    async def commit(self, changes: Sequence[Change]) -> None:
        if self.full:
            raise Unavailable("skep.db: database or disk is full; nothing was written")
        await super().commit(changes)


class World:
    """A registry on a store on a disk, which can be restarted."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.disk = FullDisk()
        self.store: Store
        self.registry: Registry

    async def start(self) -> None:
        self.store = Store(self.disk, clock=self.clock)
        await self.store.open()
        self.registry = Registry(self.store, self.clock)
        await self.registry.open()

    def stored(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(entry.document) for entry in self.store.list("instances.skep.dev")[0]]

    async def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)
            await self.registry.sweep()


def in_world(story: Callable[[World], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        async def run() -> None:
            world = World()
            await world.start()
            await story(world)

        asyncio.run(run())

    return test


def instance(name: str, **fields: Any) -> Instance:
    plain = Instance(Namespace("default"), ServiceName("orders"), InstanceId(name), address="10.0.0.7", port=80)
    return msgspec.structs.replace(plain, **fields)


@in_world
async def test_registered_instance_shows_at_once_and_survives_a_restart(world: World) -> None:
    before = world.registry.revision.value
    await world.registry.register([instance("a", labels={"version": "v2"})])
    (found,) = world.registry.members(ORDERS)
    assert found.labels == {"version": "v2", "skep.dev/service": "orders"}
    assert world.registry.labelled(Namespace("default"), "skep.dev/service", "orders") == (found,)
    assert world.registry.revision.value > before
    await world.start()
    assert world.registry.get(found.key) == found


@in_world
async def test_object_keeps_its_identity_and_counts_its_generations(world: World) -> None:
    await world.registry.register([instance("a")])
    (first,) = world.stored()
    assert first["metadata"]["name"] == "orders.a"
    assert first["metadata"]["uid"]
    world.clock.advance(60)
    await world.registry.register([instance("a", port=81)])
    await world.registry.report_health([(instance("a").key, Health.FAILING)])
    (second,) = world.stored()
    same = ("uid", "creationTimestamp", "name", "namespace")
    assert {n: first["metadata"][n] for n in same} == {n: second["metadata"][n] for n in same}
    assert (first["metadata"]["generation"], second["metadata"]["generation"]) == (1, 2)
    assert second["status"]["health"] == "failing"


@in_world
async def test_beats_and_repeated_registrations_write_nothing(world: World) -> None:
    await world.registry.register([instance("a")])
    written, shown = world.store.revision.value, world.registry.revision.value
    assert world.registry.renew([instance("a").key, instance("zz").key]) == [instance("zz").key]
    await world.registry.register([instance("a")])
    assert await world.registry.report_health([(instance("a").key, Health.PASSING)]) == []
    assert (world.store.revision.value, world.registry.revision.value) == (written, shown)


@in_world
async def test_bad_one_refuses_the_whole_batch_with_every_path(world: World) -> None:
    batch = [instance("a"), instance("B", port=0), instance("a"), instance("c", weight=0)]
    with pytest.raises(Invalid) as refused:
        await world.registry.register(batch)
    assert [v.path for v in refused.value.violations] == [
        "instances[1].id", "instances[1].port", "instances[2]", "instances[3].weight",
    ]  # fmt: skip
    assert world.stored() == []
    assert not world.registry.instances()


@in_world
async def test_lost_lease_removes_just_the_silent_instance(world: World) -> None:
    await world.registry.register([instance("a", lease_s=5.0), instance("b", lease_s=5.0)])
    for _ in range(4):
        await world.pass_time(4)
        world.registry.renew([instance("b").key])
    assert [i.id for i in world.registry.members(ORDERS)] == ["b"]
    assert [d["metadata"]["name"] for d in world.stored()] == ["orders.b"]


@in_world
async def test_restart_starts_every_lease_afresh_and_says_nobody_was_heard(world: World) -> None:
    await world.registry.register([instance("a", lease_s=10.0, source="agent/h1")])
    world.clock.advance(3600)
    await world.start()
    await world.pass_time(9)
    (view,) = world.registry.query()
    assert (view.lease.heard_by, view.lease.last_heard) == ("", None)
    assert (view.lease.expires - world.clock.now()).total_seconds() == pytest.approx(1.0)
    world.registry.renew([view.instance.key], "agent/h1")
    (view,) = world.registry.query()
    assert (view.lease.heard_by, view.lease.last_heard) == ("agent/h1", world.clock.now())
    await world.pass_time(11)
    assert world.registry.query() == []


@in_world
async def test_full_disk_refuses_registrations_and_keeps_everything_else_going(world: World) -> None:
    await world.registry.register([instance("a", lease_s=5.0), instance("b", lease_s=60.0)])
    world.disk.full = True
    with pytest.raises(Unavailable, match="full"):
        await world.registry.register([instance("c")])
    with pytest.raises(Unavailable):
        await world.registry.deregister([instance("b").key])
    assert world.registry.get(instance("c").key) is None
    assert await world.registry.report_health([(instance("b").key, Health.FAILING)]) == []
    await world.pass_time(7)
    (left,) = world.registry.members(ORDERS)
    assert (left.id, left.health) == ("b", Health.FAILING)
    assert len(world.stored()) == 2
    world.disk.full = False
    await world.pass_time(10)
    (document,) = world.stored()
    assert (document["metadata"]["name"], document["status"]["health"]) == ("orders.b", "failing")


@in_world
async def test_instance_lost_on_a_full_disk_can_register_again(world: World) -> None:
    await world.registry.register([instance("a", lease_s=2.0)])
    world.disk.full = True
    await world.pass_time(3)
    assert world.registry.get(instance("a").key) is None
    world.disk.full = False
    await world.registry.register([instance("a", port=81, lease_s=30.0)])
    await world.pass_time(10)
    (document,) = world.stored()
    assert document["spec"]["port"] == 81


@in_world
async def test_writes_of_one_instance_take_effect_in_the_order_they_were_made(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        for port in range(81, 91):
            group.create_task(world.registry.register([instance("a", port=port)]))
        group.create_task(world.registry.deregister([instance("a").key]))
        group.create_task(world.registry.register([instance("a", port=99), instance("b")]))
    ports = [i.port for i in world.registry.members(ORDERS)]
    assert ports == [d["spec"]["port"] for d in world.stored()]
    assert ports[-1] == 80


@in_world
async def test_cancelled_registration_leaves_store_and_memory_agreeing(world: World) -> None:
    task = asyncio.get_running_loop().create_task(world.registry.register([instance("a")]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await world.pass_time(10)
    assert len(world.stored()) == len(world.registry.instances())


@in_world
async def test_with_lease_adds_what_is_known_now(world: World) -> None:
    await world.registry.register([instance("a", source="agent/h1", lease_s=20.0)])
    world.clock.advance(5)
    (stored,) = world.stored()
    assert world.registry.with_lease(stored)["status"] == {
        "health": "passing",
        "lease": {
            "heardBy": "agent/h1",
            "lastHeard": "2026-01-01T00:00:00.000Z",
            "expires": "2026-01-01T00:00:20.000Z",
        },
    }
    assert world.registry.with_lease(msgspec.json.encode(stored)) == world.registry.with_lease(stored)
    assert stored["status"] == {"health": "passing"}
    await world.registry.deregister([instance("a").key])
    assert world.registry.with_lease(stored) == stored


@in_world
async def test_query_narrows_by_name_and_predicate(world: World) -> None:
    coupons = msgspec.structs.replace(instance("c"), service=ServiceName("coupons"))
    await world.registry.register([instance("a"), instance("b", health=Health.STARTING), coupons])
    names = [[v.instance.id for v in world.registry.query(*args)] for args in (
        (None, None), ("default", "orders"), (None, "coupons"), ("other", None),
        (None, None, lambda i: i.health is Health.STARTING),
    )]  # fmt: skip
    assert names == [["c", "a", "b"], ["a", "b"], ["c"], [], ["b"]]


class StallingClock(FakeClock):
    """Jumps ahead at one reading, as when the process was not run for a while."""

    readings = 0

    def monotonic(self) -> float:
        self.readings += 1
        if self.readings == 2:
            self.advance(60)
        return super().monotonic()


def test_process_that_did_not_run_does_not_hold_it_against_the_instances(caplog: pytest.LogCaptureFixture) -> None:
    async def until(is_met: Callable[[], bool], step_s: float = 0.0) -> None:
        async with asyncio.timeout(60):
            while not is_met():
                clock.advance(step_s)
                await asyncio.sleep(0.01)

    clock = StallingClock()

    async def run() -> None:
        store = Store(MemoryBackend(), clock=clock)
        await store.open()
        registry = Registry(store, clock)
        await registry.register([instance("a", lease_s=1.0)])
        clock.readings = 0
        async with asyncio.TaskGroup() as group:
            running = group.create_task(registry.run())
            await until(lambda: "did not run for 60.0 s" in caplog.text)
            assert registry.get(instance("a").key) is not None
            await until(lambda: registry.get(instance("a").key) is None, step_s=0.02)
            running.cancel()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
