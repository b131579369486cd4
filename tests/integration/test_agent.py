"""The agent with a real control plane and real Envoys: instances of `skep run` that call one another, and what may die."""

# ruff: noqa: ASYNC110, ASYNC240  deadlines are set; files and processes of a test

import asyncio
import signal
from pathlib import Path

import pytest

from skep.clients.agent import (
    AgentConnection,
    ListProcesses,
    ListProxies,
    LocalProcess,
    Opened,
    Proxy,
    ReadLogs,
    ReadStats,
    SetHealth,
    Traffic,
    connect,
    connected,
)
from skep.errors import Conflict, Invalid, NotFound, Unavailable
from skep.model.instance import Health
from tests.support.instances import (
    APP,
    caller,
    envoy_pid,
    get,
    instances,
    open_request,
    platform_gateway_is_up,
    start_orders,
    until_instances,
)
from tests.support.platform import Platform, end, until_true
from tests.support.steady_load import steady_load


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
