"""What may die without a caller noticing: the control plane, instances, Envoys, the disk. Real processes, under load.

Every test counts every request of steady callers, at the Gateway and in the mesh; one that fails is one too many.
"""

# ruff: noqa: ASYNC110, ASYNC240  deadlines are set; files and processes of a test

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from skep.clients.agent import AgentConnection, ListProxies, Proxy, Restarted, RestartEnvoy, connected
from skep.clients.api import ApiClient, RegistryClient
from skep.errors import SkepError, Unavailable
from tests.support.disk import Disk
from tests.support.instances import (
    APP,
    caller,
    endpoints,
    envoy_pid,
    start_orders,
    until_instances,
)
from tests.support.platform import Platform, free_ports, until_true
from tests.support.steady_load import Load, steady_load

AWAY_S = 30.0
"""How long the control plane is away."""
LEASE_S = 15.0
"""The lease of what `skep run` starts."""
HOST = "orders.example"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "orders"},
    "spec": {"ports": [{"port": 80}]},
}
ROUTE = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "orders"},
    "spec": {
        "parentRefs": [{"name": "edge"}],
        "hostnames": [HOST],
        "rules": [{"backendRefs": [{"name": "orders", "port": 80}]}],
    },
}
CALLER, GATEWAY = "caller/caller-1", "gateway/edge"


class Loads:
    """Callers at the Gateway and in the mesh."""

    def __init__(self, edge: Load, mesh: Load) -> None:
        self.edge = edge
        self.mesh = mesh

    async def more(self, requests: int, limit_s: float = 60.0) -> None:
        """Wait until both have had so many more good answers."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.edge.more(requests, limit_s))
            group.create_task(self.mesh.more(requests, limit_s))

    def stop(self) -> None:
        self.edge.stopping = self.mesh.stopping = True

    def failures(self) -> dict[str, int]:
        return {**self.edge.failures, **self.mesh.failures}


@asynccontextmanager
async def orders_under_load(platform: Platform) -> AsyncIterator[Loads]:
    """Publish `orders` at the Gateway, and call it there and from another instance until the block ends."""
    async with platform.api() as api:
        await api.create("/api/v1/namespaces/default/services", SERVICE)
        await api.create("/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes", ROUTE)
    await until_published(platform)
    async with (
        caller(platform) as port,
        steady_load(platform.gateway_port, host=HOST, connections=6, pause_s=0.01) as edge,
        steady_load(port, host="orders", connections=6, pause_s=0.01) as mesh,
    ):
        loads = Loads(edge, mesh)
        try:
            await loads.more(100)
            yield loads
        finally:
            loads.stop()


async def until_published(platform: Platform) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                answer = await http.get(f"http://127.0.0.1:{platform.gateway_port}/", headers={"host": HOST})
                if answer.status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def addresses(platform: Platform) -> set[str]:
    """Where the registry says that `orders` answers."""
    async with platform.api() as api:
        found = (await api.get("/registry/v1/instances", service="orders"))["instances"]
    return {f"{each['address']}:{each['port']}" for each in found if each["health"] == "passing"}


@pytest.mark.anyio
async def test_control_plane_killed_for_30_s_fails_no_request_and_loses_no_endpoint(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        await start_orders(platform, "orders-1", "orders-2")
        async with orders_under_load(platform) as loads:
            wanted = await addresses(platform)
            assert len(wanted) == 2
            before = {title: await endpoints(platform, title, "orders") for title in (CALLER, GATEWAY)}
            assert set(before[CALLER]) == set(before[GATEWAY]) == wanted

            assert platform.server is not None
            platform.server.kill()
            await asyncio.to_thread(platform.server.wait)
            async with connected(platform.data_dir) as agent:
                refused = await agent.call(RestartEnvoy(), Restarted)
            assert not refused.restarted
            assert "not connected to the control plane" in str(refused.failed)
            await asyncio.sleep(AWAY_S)  # the fault itself
            assert {title: await endpoints(platform, title, "orders") for title in before} == before

            platform.start_server()
            await platform.until_ready()
            # All leases have run out once over by the end: only what is renewed is still there.
            loop = asyncio.get_running_loop()
            until_s = loop.time() + LEASE_S + 3.0
            while loop.time() < until_s:
                assert await addresses(platform) == wanted
                assert {title: await endpoints(platform, title, "orders") for title in before} == before
                await asyncio.sleep(0.5)
            await loads.more(300)
            loads.stop()
        assert not loads.failures()


@pytest.mark.anyio
@pytest.mark.parametrize("victim", ["process", "skep run", "process and sidecar", "process, sidecar and skep run"])
async def test_instance_killed_fails_no_get_and_is_gone_within_its_lease(tmp_path: Path, victim: str) -> None:
    async with Platform(tmp_path) as platform:
        runs = await start_orders(platform, "orders-1", "orders-2")
        async with orders_under_load(platform) as loads:
            command = int(Path(f"/proc/{runs[0].pid}/task/{runs[0].pid}/children").read_text())
            sidecar = await envoy_pid(platform, "orders-1")
            if "skep run" in victim:
                runs[0].kill()
            if "process" in victim:
                os.kill(command, signal.SIGKILL)
            if "sidecar" in victim:
                os.kill(sidecar, signal.SIGKILL)
            await until_gone(platform, "orders-2", limit_s=LEASE_S)
            await loads.more(200)
            loads.stop()
        assert not loads.failures()
        await until_true(lambda: not Path(f"/proc/{command}").exists())


async def until_gone(platform: Platform, left: str, limit_s: float) -> None:
    """Wait until only one instance is left, in the registry and in the proxies of its callers."""
    await until_instances(platform, "orders", {left: "passing"}, limit_s)
    wanted = await addresses(platform)
    async with asyncio.timeout(limit_s):
        for title in (CALLER, GATEWAY):
            while set(await endpoints(platform, title, "orders")) != wanted:
                await asyncio.sleep(0.05)


@pytest.mark.anyio
async def test_instance_that_beats_for_itself_is_gone_within_its_lease(tmp_path: Path) -> None:
    """One without an agent, as a program that speaks to the registry itself: nobody tells that it is gone."""
    lease_s = 4.0
    name = {"namespace": "default", "service": "orders", "id": "alone"}
    async with Platform(tmp_path) as platform, platform.api() as api:
        await start_orders(platform, "orders-1")
        (port,) = free_ports(1)
        alone = platform.spawn("alone", *APP, "alone", env={"PORT": str(port)})
        await until_true(lambda: listens(port))
        registry = RegistryClient(api)
        where = {"address": "127.0.0.1", "port": port, "leaseSeconds": lease_s, "health": "passing"}
        await registry.register([{**name, **where}])
        await until_instances(platform, "orders", {"orders-1": "passing", "alone": "passing"})
        async with orders_under_load(platform) as loads:
            for _ in range(8):
                assert not await registry.renew([name])
                await asyncio.sleep(lease_s / 4)
            assert len(await endpoints(platform, CALLER, "orders")) == 2
            alone.kill()
            await until_gone(platform, "orders-1", limit_s=lease_s + 1.0)
            await loads.more(200)
            loads.stop()
        assert not loads.failures()


def listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.anyio
async def test_hot_restart_of_sidecars_and_gateway_fails_no_request(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        await start_orders(platform, "orders-1", "orders-2")
        async with connected(platform.data_dir) as agent, orders_under_load(platform) as loads:
            for names in (("orders/orders-1",), (CALLER,), (GATEWAY,), ()):
                done = await agent.call(RestartEnvoy(names), Restarted, 120.0)
                assert not done.failed
                assert set(done.restarted) == set(names or ("orders/orders-1", "orders/orders-2", CALLER, GATEWAY))
                await loads.more(200)
            await until_drained(agent)
            await loads.more(200)
            loads.stop()
            refused = await agent.call(RestartEnvoy(("orders/none",)), Restarted)
            assert refused.failed == {"orders/none": "no such Envoy on this host"}
        assert not loads.failures()


async def until_drained(agent: AgentConnection) -> None:
    async with asyncio.timeout(90):
        while any(proxy.draining for proxy in await agent.call(ListProxies(), list[Proxy])):
            await asyncio.sleep(0.2)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk", megabytes=16)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.anyio
async def test_full_disk_refuses_writes_while_reads_routing_and_leases_go_on(disk: Disk) -> None:
    async with Platform(disk.folder) as platform, platform.api() as api:
        await start_orders(platform, "orders-1", "orders-2")
        async with orders_under_load(platform) as loads:
            wanted = await addresses(platform)
            assert platform.server is not None
            assert platform.agent is not None
            pids = platform.server.pid, platform.agent.pid
            disk.processes.extend(pids)
            await api.create(CONFIG, config_map("before"))
            disk.fill()
            refused = await until_refused(api)
            for part in ("skep.db", "nothing was written", "free space"):
                assert part in refused.message
            assert "the last write failed" in (await readiness(platform)).text
            with pytest.raises(Unavailable, match="nothing was written"):
                await register_large(api)

            assert (await api.get(f"{CONFIG}/before"))["data"]
            heard = await last_heard(api)
            # For longer than a lease: whoever was not renewed would be gone.
            loop = asyncio.get_running_loop()
            until_s = loop.time() + LEASE_S + 2.0
            while loop.time() < until_s:
                assert await addresses(platform) == wanted
                assert set(await endpoints(platform, CALLER, "orders")) == wanted
                await asyncio.sleep(0.5)
            now = await last_heard(api)
            assert all(now[name] > heard[name] for name in heard)
            await loads.more(200)

            disk.free()
            await api.create(CONFIG, config_map("after"))
            assert (await readiness(platform)).status_code == 200
            platform.run(*APP, "orders-3", service="orders", id="orders-3", log="orders-3")
            await until_instances(platform, "orders", dict.fromkeys(("orders-1", "orders-2", "orders-3"), "passing"))
            await loads.more(200)
            loads.stop()
            assert (platform.server.poll(), platform.agent.poll()) == (None, None)
        assert not loads.failures()


CONFIG = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, size: int = 1) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "x" * size}}


async def until_refused(api: ApiClient) -> SkepError:
    """Write until there is no room: the database has a little of its own before it needs the disk."""
    for number in range(50):
        try:
            await api.create(CONFIG, config_map(f"large-{number}", 300_000))
        except SkepError as error:
            return error
    raise AssertionError("every write was taken")


async def register_large(api: ApiClient) -> None:
    """Register many instances at once, which needs room too."""
    await RegistryClient(api).register(
        [
            {"namespace": "default", "service": "many", "id": f"i-{n}", "address": "127.0.0.1", "port": 9}
            | {"labels": {f"label-{m}": "x" * 60 for m in range(10)}}
            for n in range(500)
        ]
    )


async def last_heard(api: ApiClient) -> dict[str, str]:
    found = (await api.get("/registry/v1/instances", service="orders"))["instances"]
    return {each["id"]: each["lease"]["lastHeard"] for each in found}


async def readiness(platform: Platform) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{platform.settings['http_port']}/readyz")
