"""The leases of a host against the real registry, which goes away, forgets, and refuses."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from skep.agent.leases import Leases
from skep.clock import SystemClock
from skep.errors import Invalid, NotFound, Unavailable
from skep.model.instance import Health, Instance, InstanceKey
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.registry.service import Registry
from skep.store.backend import open_backend
from skep.store.store import Store

pytestmark = pytest.mark.anyio


class ReachableRegistry:
    """The real registry behind a line that can be cut; counts the calls that came through."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.away = False
        self.renewals = 0

    def _line(self) -> None:
        if self.away:
            raise Unavailable("cut")

    async def register(self, instances: Sequence[Instance]) -> None:
        self._line()
        await self.registry.register(instances)

    async def renew(self, keys: Sequence[InstanceKey]) -> list[InstanceKey]:
        self._line()
        self.renewals += 1
        return self.registry.renew(keys)

    async def deregister(self, keys: Sequence[InstanceKey]) -> None:
        self._line()
        await self.registry.deregister(keys)


def instance(name: str, lease_s: float = 1.5, weight: int = 100) -> Instance:
    return Instance(
        Namespace("default"), ServiceName("orders"), InstanceId(name), "127.0.0.1", 9000, lease_s=lease_s, weight=weight
    )


@asynccontextmanager
async def leasing(folder: Path) -> AsyncIterator[tuple[Leases, ReachableRegistry]]:
    clock = SystemClock()
    store = Store(open_backend("", folder), clock=clock)
    await store.open()
    try:
        registry = Registry(store, clock)
        await registry.open()
        line = ReachableRegistry(registry)
        leases = Leases(line, clock)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(leases.run()), group.create_task(registry.run())]
            yield leases, line
            for task in tasks:
                task.cancel()
    finally:
        await store.close()


def names(line: ReachableRegistry) -> set[str]:
    return {key.id for key in line.registry.instances()}


async def until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  a deadline is set
            await asyncio.sleep(0.02)


async def test_instances_are_held_beyond_their_lease_and_released(tmp_path: Path) -> None:
    async with leasing(tmp_path) as (leases, line):
        for each in ("a", "b", "c"):
            await leases.hold(instance(each))
        assert names(line) == {"a", "b", "c"}
        await until(lambda: line.renewals >= 6)  # two leases
        assert names(line) == {"a", "b", "c"}
        await leases.release([instance("a").key, instance("b").key])
        assert names(line) == {"c"}
        assert [each.id for each in leases.list()] == ["c"]


async def test_health_reaches_the_registry(tmp_path: Path) -> None:
    async with leasing(tmp_path) as (leases, line):
        await leases.hold(instance("a"))
        leases.set_health(instance("a").key, Health.DRAINING)
        assert await leases.reported(instance("a").key, 5.0)
        held = line.registry.get(instance("a").key)
        assert held is not None
        assert held.health is Health.DRAINING
        with pytest.raises(NotFound):
            leases.set_health(instance("nobody").key, Health.PASSING)


async def test_registry_that_was_away_gets_everything_again(tmp_path: Path) -> None:
    async with leasing(tmp_path) as (leases, line):
        await leases.hold(instance("a"))
        line.away = True
        leases.set_health(instance("a").key, Health.FAILING)
        leases.keep(instance("b"))
        assert not await leases.reported(instance("a").key, 0.3)
        await until(lambda: names(line) == set())  # its lease ran out, as nobody was heard
        line.away = False
        await until(lambda: names(line) == {"a", "b"})
        held = line.registry.get(instance("a").key)
        assert held is not None
        assert held.health is Health.FAILING


async def test_instance_that_is_refused_is_not_held_and_spoils_no_other(tmp_path: Path) -> None:
    async with leasing(tmp_path) as (leases, line):
        async with asyncio.TaskGroup() as group:
            good = group.create_task(leases.hold(instance("good")))
            with pytest.raises(Invalid, match="weight"):
                await leases.hold(instance("bad", weight=-1))
            await good
        await until(lambda: names(line) == {"good"})
        assert [each.id for each in leases.list()] == ["good"]


async def test_hold_gives_up_in_time(tmp_path: Path) -> None:
    async with leasing(tmp_path) as (leases, line):
        line.away = True
        with pytest.raises(Unavailable, match="does not answer"):
            await leases.hold(instance("a"), limit_s=0.3)
        line.away = False
        await leases.hold(instance("b"))
        assert names(line) == {"b"}
