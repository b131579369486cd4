"""The agent with a real control plane and real Envoys: instances of `skep run` that call one another, and what may die."""

# ruff: noqa: ASYNC110, ASYNC240  deadlines are set; files and processes of a test

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from skep.clients.agent import (
    AgentConnection,
    ListProcesses,
    ListProxies,
    LocalProcess,
    Open,
    Opened,
    Proxy,
    ReadLogs,
    ReadStats,
    Restarted,
    RestartEnvoy,
    SetHealth,
    Traffic,
    connect,
    connected,
)
from skep.errors import Conflict, Invalid, NotFound, Unavailable
from skep.model.instance import Health
from skep.model.names import InstanceId, Namespace, ServiceName
from tests.support.platform import Platform, end, until_true
from tests.support.steady_load import steady_load

APP = (sys.executable, "-m", "tests.support.named_app")


async def instances(platform: Platform, service: str) -> dict[str, str]:
    """Health of each registered instance."""
    async with platform.api() as api:
        found = await api.get("/registry/v1/instances", service=service)
    return {each["id"]: each["health"] for each in found["instances"]}


async def until_instances(platform: Platform, service: str, wanted: dict[str, str], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while await instances(platform, service) != wanted:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def caller(platform: Platform) -> AsyncIterator[int]:
    """The outbound port of an instance that only calls."""
    async with connected(platform.data_dir) as agent:
        yield (await agent.call(open_request("caller", "caller-1"), Opened)).outbound.port


def open_request(service: str, name: str) -> Open:
    return Open(namespace=Namespace("default"), service=ServiceName(service), id=InstanceId(name))


async def start_orders(platform: Platform, *names: str) -> list["subprocess.Popen[bytes]"]:
    runs = [platform.run(*APP, name, service="orders", id=name, log=name) for name in names]
    await until_instances(platform, "orders", dict.fromkeys(names, "passing"))
    return runs


async def get(port: int, host: str, path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}{path}", headers={"host": host})


@pytest.mark.anyio
async def test_instances_call_each_other_by_name(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        first = platform.run(*APP, "shop", service="shop", id="shop-1")
        platform.run(*APP, "coupons", service="coupons", id="coupons-1", labels={"version": "v2"})
        await until_instances(platform, "shop", {"shop-1": "passing"})
        await until_instances(platform, "coupons", {"coupons-1": "passing"})
        async with caller(platform) as port, connected(platform.data_dir) as agent:
            answer = await get(port, "shop", "/ask?http://coupons/price")
            assert (answer.status_code, answer.text) == (200, "shop asked coupons")

            traffic = {each.name: each for each in await agent.call(ReadStats(), list[Traffic])}
            assert traffic["coupons"].requests_total == 1
            assert (traffic["shop"].instances, traffic["shop"].passing) == (1, 1)
            proxies = {each.title: each for each in await agent.call(ListProxies(), list[Proxy])}
            assert set(proxies) == {"gateway/edge", "shop/shop-1", "coupons/coupons-1", "caller/caller-1"}
            assert proxies["shop/shop-1"].state == "ready"
            processes = await agent.call(ListProcesses(), list[LocalProcess])
            chunks = [chunk async for chunk in agent.stream(ReadLogs(process=processes[0].name))]
            assert all(chunk.stream in {"stdout", "stderr"} for chunk in chunks)
            with pytest.raises(NotFound):
                _ = [chunk async for chunk in agent.stream(ReadLogs(process="nobody"))]

        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(end, first) == 128 + signal.SIGTERM
        assert await instances(platform, "shop") == {}
        assert await instances(platform, "caller") == {}


@pytest.mark.anyio
async def test_exit_status_is_the_commands(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        await platform_gateway_is_up(platform)
        run = platform.run("sh", "-c", "exit 7", service="job")
        assert await asyncio.to_thread(end, run) == 7
        missing = platform.run("/no/such/command", service="job", log="missing")
        assert await asyncio.to_thread(end, missing) == 1
        assert "cannot start /no/such/command" in platform.log("missing")
        taken = platform.run("true", service="job", log="taken", port=platform.gateway_port)
        assert await asyncio.to_thread(end, taken) == 1
        assert f"port {platform.gateway_port} on 127.0.0.1 is taken" in platform.log("taken")
        await until_instances(platform, "job", {})


@pytest.mark.anyio
async def test_session_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="skep up"):
        await connect(tmp_path / "data")
    async with Platform(tmp_path) as platform, connected(platform.data_dir) as agent:
        with pytest.raises(Invalid, match="service"):
            await agent.call(open_request("Orders!", "orders-1"), Opened)
        await agent.call(open_request("orders", "orders-1"), Opened)
        async with connected(platform.data_dir) as other:
            with pytest.raises(Conflict, match="--id"):
                await other.call(open_request("orders", "orders-1"), Opened)
        assert await agent.call(SetHealth(Health.FAILING), bool)
        assert await instances(platform, "orders") == {"orders-1": "failing"}
        platform.start_agent()
        second = platform.processes[-1]
        assert await asyncio.to_thread(end, second) == 1
        assert "an agent runs already" in platform.log("agent")
        assert await agent.call(SetHealth(Health.PASSING), bool)


@pytest.mark.anyio
@pytest.mark.parametrize("victim", ["command", "skep run", "everything"])
async def test_instance_killed_under_load_fails_no_call(tmp_path: Path, victim: str) -> None:
    async with Platform(tmp_path) as platform:
        runs = await start_orders(platform, "orders-1", "orders-2")
        async with caller(platform) as port, steady_load(port, host="orders", connections=16) as load:
            await load.more(300)
            command = int(Path(f"/proc/{runs[0].pid}/task/{runs[0].pid}/children").read_text())
            if victim != "skep run":
                os.kill(command, signal.SIGKILL)
            if victim != "command":
                runs[0].kill()
            if victim == "everything":
                os.kill(await envoy_pid(platform, "orders-1"), signal.SIGKILL)
            await until_instances(platform, "orders", {"orders-2": "passing"}, limit_s=15.0)
            await load.more(300)
            load.stopping = True
        assert not load.failures
        await until_true(lambda: not Path(f"/proc/{command}").exists())


async def envoy_pid(platform: Platform, title: str) -> int:
    async with connected(platform.data_dir) as agent:
        return next(each.pid for each in await agent.call(ListProcesses(), list[LocalProcess]) if title in each.name)


@pytest.mark.anyio
async def test_instance_stopped_under_load_fails_no_call(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        runs = await start_orders(platform, "orders-1", "orders-2")
        async with caller(platform) as port, steady_load(port, host="orders", connections=16) as load:
            await load.more(300)
            runs[0].terminate()
            assert await asyncio.to_thread(end, runs[0]) == 128 + signal.SIGTERM
            assert await instances(platform, "orders") == {"orders-2": "passing"}
            await load.more(300)
            runs.append(platform.run(*APP, "orders-3", service="orders", id="orders-3", log="orders-3"))
            await until_instances(platform, "orders", {"orders-2": "passing", "orders-3": "passing"})
            runs[1].terminate()
            await asyncio.to_thread(end, runs[1])
            await load.more(300)
            load.stopping = True
        assert not load.failures


@pytest.mark.anyio
async def test_hot_restart_of_every_envoy_fails_no_call(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        await start_orders(platform, "orders-1", "orders-2")
        async with caller(platform) as port, connected(platform.data_dir) as agent:
            async with steady_load(port, host="orders", connections=24) as load:
                await load.more(300)
                done = await agent.call(RestartEnvoy(), Restarted)
                assert not done.failed
                assert set(done.restarted) == {"gateway/edge", "orders/orders-1", "orders/orders-2", "caller/caller-1"}
                await until_drained(agent)
                await load.more(300)
                load.stopping = True
            assert not load.failures
            refused = await agent.call(RestartEnvoy(("orders/none",)), Restarted)
            assert refused.failed == {"orders/none": "no such Envoy on this host"}


async def until_drained(agent: AgentConnection, limit_s: float = 90.0) -> None:
    async with asyncio.timeout(limit_s):
        while any(proxy.draining for proxy in await agent.call(ListProxies(), list[Proxy])):
            await asyncio.sleep(0.2)


@pytest.mark.anyio
async def test_control_plane_killed_under_load_fails_no_call(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        await start_orders(platform, "orders-1", "orders-2")
        async with caller(platform) as port, steady_load(port, host="orders", connections=16) as load:
            await load.more(300)
            assert platform.server is not None
            platform.server.kill()
            await asyncio.to_thread(platform.server.wait)
            async with connected(platform.data_dir) as agent:
                refused = await agent.call(RestartEnvoy(), Restarted)
                assert not refused.restarted
                assert "not connected to the control plane" in str(refused.failed)
            await load.more(2000, limit_s=60.0)
            platform.start_server()
            await platform.until_ready()
            await load.more(300)
            await until_instances(platform, "orders", {"orders-1": "passing", "orders-2": "passing"})
            load.stopping = True
        assert not load.failures


@pytest.mark.anyio
async def test_agent_killed_under_load_fails_no_call_and_sessions_come_back(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        runs = await start_orders(platform, "orders-1", "orders-2")
        plain = await platform_gateway_is_up(platform)
        async with connected(platform.data_dir) as agent:
            before = {each.name: each.process for each in await agent.call(ListProxies(), list[Proxy])}
            opened = await agent.call(open_request("caller", "caller-1"), Opened)
            async with steady_load(opened.outbound.port, host="orders", connections=16) as load:
                await load.more(300)
                assert platform.agent is not None
                platform.agent.kill()
                await asyncio.to_thread(platform.agent.wait)
                await load.more(500)
                platform.start_agent()
                async with asyncio.timeout(60):
                    while (again := await come_back(platform)) is None:
                        await asyncio.sleep(0.05)
                await load.more(500)
                after = {each.name: each.process for each in await again.call(ListProxies(), list[Proxy])}
                assert {name: after[name] for name in before} == before
                await until_instances(platform, "orders", {"orders-1": "passing", "orders-2": "passing"})
                load.stopping = True
            assert not load.failures
            assert plain == await platform_gateway_is_up(platform)
            runs[0].send_signal(signal.SIGTERM)
            await asyncio.to_thread(end, runs[0])
            await until_instances(platform, "orders", {"orders-2": "passing"})
            await again.close()


@pytest.mark.anyio
async def test_envoy_without_a_record_is_ended_and_replaced(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        await platform_gateway_is_up(platform)
        stray = await envoy_pid(platform, "gateway.default.edge")
        assert platform.agent is not None
        platform.agent.kill()
        await asyncio.to_thread(platform.agent.wait)
        (platform.data_dir / "agent" / "proxies" / "gateway.default.edge.json").unlink()
        platform.start_agent()
        await until_true(lambda: not Path(f"/proc/{stray}").exists())
        await platform_gateway_is_up(platform)


async def platform_gateway_is_up(platform: Platform) -> int:
    async with asyncio.timeout(60):
        while True:
            try:
                return (await get(platform.gateway_port, "nobody")).status_code
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def come_back(platform: Platform) -> AgentConnection | None:
    try:
        agent = await connect(platform.data_dir)
    except Unavailable:
        return None
    await agent.call(open_request("caller", "caller-1"), Opened)
    return agent


@pytest.mark.anyio
async def test_stopped_agent_leaves_nothing(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        await platform_gateway_is_up(platform)
        runs = await start_orders(platform, "orders-1")
        async with connected(platform.data_dir) as agent:
            pids = [each.pid for each in await agent.call(ListProcesses(), list[LocalProcess])]
        assert len(pids) == 2
        assert platform.agent is not None
        platform.agent.terminate()
        assert await asyncio.to_thread(end, platform.agent) == 0
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
        assert not (platform.data_dir / "agent" / "agent.sock").exists()
        assert await instances(platform, "orders") == {}
        assert runs[0].poll() is None
        platform.start_agent()
        await until_instances(platform, "orders", {"orders-1": "passing"})
