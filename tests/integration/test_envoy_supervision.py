"""Real Envoys under the agent's supervision: killed, hot-restarted under load, left behind by a killed agent."""

# ruff: noqa: ASYNC220, ASYNC240  files and processes of a test

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from skep.agent.admin import Admin
from skep.agent.envoy import Envoy
from skep.agent.envoys import Envoys
from skep.agent.epochs import proxy_name
from skep.agent.ports import Ports
from skep.errors import Unavailable
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.node import Address, Inbound, SidecarNode
from skep.workloads.runtimes.process import ProcessRuntime
from tests.support.static_envoy import static_host
from tests.support.steady_load import steady_load


def node(ports: Ports) -> SidecarNode:
    return SidecarNode(
        Namespace("default"),
        ServiceName("orders"),
        InstanceId("orders-1"),
        ports.pick(),
        (Inbound(ports.pick(), Address("127.0.0.1", 9)),),
    )


@asynccontextmanager
async def running(folder: Path, ports: Ports, *, leave: bool = False) -> AsyncIterator[Envoys]:
    """An agent's Envoys; with `leave` they outlive the block, as they outlive an agent that was killed."""
    runtime, admin = ProcessRuntime(folder / "processes"), Admin()
    await runtime.recover()
    envoys = Envoys(static_host(folder, runtime, admin), ports)
    envoys.recover()
    try:
        async with asyncio.TaskGroup() as group:
            started = asyncio.Event()
            tasks = [group.create_task(envoys.run(started.set)), group.create_task(runtime.run())]
            await started.wait()
            try:
                yield envoys
            finally:
                if not leave:
                    await envoys.destroy_all()
                for task in tasks:
                    task.cancel()
    finally:
        await admin.close()
        ports.close()


async def until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  a deadline is set
            await asyncio.sleep(0.02)


def pid_of(folder: Path, process: str) -> int:
    return int(json.loads((folder / "processes" / process / "process.json").read_bytes())["pid"])


def current(folder: Path, envoy: Envoy) -> int:
    """The pid of Envoy itself: the runtime knows the shell that is its parent."""
    launch = envoy.record.current
    assert launch is not None
    parent = pid_of(folder, launch.process)
    return int(Path(f"/proc/{parent}/task/{parent}/children").read_text())


@pytest.mark.anyio
async def test_killed_envoy_comes_back_on_the_same_ports(tmp_path: Path) -> None:
    ports = Ports()
    sidecar = node(ports)
    async with running(tmp_path, ports) as envoys:
        envoy = await envoys.ensure(sidecar)
        await envoy.wait_ready()
        first = current(tmp_path, envoy)
        os.kill(first, signal.SIGKILL)
        await until(lambda: envoy.deaths == 1 and envoy.record.current is not None and envoy.record.launches == 2)
        await envoy.wait_ready()
        assert current(tmp_path, envoy) != first
        async with steady_load(sidecar.outbound.port, connections=2) as load:
            await load.more(20)
        assert not load.failures


@pytest.mark.anyio
async def test_hot_restart_under_load_fails_no_request(tmp_path: Path) -> None:
    ports = Ports()
    sidecar = node(ports)
    async with running(tmp_path, ports) as envoys:
        envoy = await envoys.ensure(sidecar)
        await envoy.wait_ready()
        async with steady_load(sidecar.outbound.port, connections=24) as load:
            for epoch in (1, 2):
                await load.more(1000)
                await envoy.restart()
                assert envoy.record.current is not None
                assert envoy.record.current.epoch == epoch
                await until(lambda: not envoy.record.draining)
            await load.more(1000)
        assert not load.failures
        assert load.succeeded > 3000
        assert envoy.deaths == 0
        processes = [path.name for path in (tmp_path / "processes").iterdir()]
        assert envoy.record.current is not None
        assert processes == [envoy.record.current.process]


@pytest.mark.anyio
async def test_envoy_killed_after_a_hot_restart_comes_back(tmp_path: Path) -> None:
    ports = Ports()
    async with running(tmp_path, ports) as envoys:
        envoy = await envoys.ensure(node(ports))
        await envoy.wait_ready()
        await envoy.restart()
        os.kill(current(tmp_path, envoy), signal.SIGKILL)
        await until(lambda: envoy.deaths == 1 and envoy.record.launches == 3)
        await envoy.wait_ready()
        assert envoy.record.current is not None
        assert envoy.record.current.epoch == 0
        await envoy.restart()
        assert envoy.record.current.epoch == 1
        await until(lambda: not envoy.record.draining)  # also the one whose successor was killed


@pytest.mark.anyio
async def test_removed_proxy_leaves_nothing(tmp_path: Path) -> None:
    ports = Ports()
    sidecar = node(ports)
    async with running(tmp_path, ports) as envoys:
        envoy = await envoys.ensure(sidecar)
        await envoy.wait_ready()
        await envoy.restart()
        assert envoy.record.current is not None
        assert envoy.record.current.base_id is not None
        shared = Path(f"/dev/shm/envoy_shared_memory_{envoy.record.current.base_id * 10}")
        assert shared.exists()
        os.kill(current(tmp_path, envoy), signal.SIGKILL)
        await until(lambda: envoy.record.launches == 3)
        await envoy.wait_ready()
        pid = current(tmp_path, envoy)
        await envoys.remove(proxy_name(sidecar))
        assert not Path(f"/proc/{pid}").exists()
        assert not list((tmp_path / "proxies").iterdir())
        assert not list((tmp_path / "envoy").iterdir())
        assert not list((tmp_path / "processes").iterdir())
        assert envoys.list() == []
        assert not shared.exists()


@pytest.mark.anyio
async def test_proxy_removed_while_its_old_process_drains_leaves_nothing(tmp_path: Path) -> None:
    ports = Ports()
    sidecar = node(ports)
    async with running(tmp_path, ports) as envoys:
        envoy = await envoys.ensure(sidecar)
        await envoy.wait_ready()
        await envoy.restart()
        assert envoy.record.draining
        assert envoy.record.current is not None
        assert envoy.record.current.base_id is not None
        shared = Path(f"/dev/shm/envoy_shared_memory_{envoy.record.current.base_id * 10}")
        assert shared.exists()
        await envoys.remove(proxy_name(sidecar))
        assert not shared.exists()
        assert not list((tmp_path / "envoy").iterdir())
        assert not list((tmp_path / "processes").iterdir())


@pytest.mark.anyio
async def test_restart_is_refused_while_envoy_starts(tmp_path: Path) -> None:
    ports = Ports()
    async with running(tmp_path, ports) as envoys:
        envoy = await envoys.ensure(node(ports))
        with pytest.raises(Unavailable, match="is not up"):
            await envoy.restart()
        await envoy.wait_ready()


@pytest.mark.anyio
async def test_envoy_with_an_old_bootstrap_is_replaced_by_the_next_agent(tmp_path: Path) -> None:
    ports = Ports()
    sidecar = node(ports)
    async with running(tmp_path, ports, leave=True) as envoys:
        envoy = await envoys.ensure(sidecar)
        await envoy.wait_ready()
    bootstrap = next((tmp_path / "envoy").glob("*.bootstrap.json"))
    bootstrap.write_bytes(bootstrap.read_bytes() + b" ")
    async with steady_load(sidecar.outbound.port, connections=8) as load:
        await load.more(100)
        async with running(tmp_path, Ports()) as envoys:
            adopted = envoys.list()[0]
            await until(lambda: adopted.record.launches == 2 and adopted.record.next is None)
            assert adopted.deaths == 0
            await until(lambda: not adopted.record.draining)
            await load.more(100)
            load.stopping = True
    assert not load.failures


@pytest.mark.anyio
async def test_successor_that_fails_leaves_the_old_one_serving(tmp_path: Path) -> None:
    ports = Ports()
    sidecar = node(ports)
    async with running(tmp_path, ports) as envoys:
        envoy = await envoys.ensure(sidecar)
        await envoy.wait_ready()
        async with steady_load(sidecar.outbound.port, connections=8) as load:
            await load.more(100)
            with pytest.raises(Unavailable, match="not ready within"):
                await envoy.restart(limit_s=0.01)
            assert (envoy.record.next, envoy.record.launches) == (None, 2)
            await load.more(500)
            os.kill(current(tmp_path, envoy), 0)
            load.stopping = True
        assert not load.failures
        os.kill(current(tmp_path, envoy), signal.SIGKILL)
        await until(lambda: envoy.deaths == 1 and envoy.record.launches == 3)
        await envoy.wait_ready()
        await envoy.restart()


_AGENT = """
import asyncio, sys
from pathlib import Path
from skep.agent.ports import Ports
from tests.integration.test_envoy_supervision import node, running

async def main(folder):
    ports = Ports()
    async with running(folder, ports, leave=True) as envoys:
        envoy = await envoys.ensure(node(ports))
        await envoy.wait_ready()
        if "restart" in sys.argv:
            await envoy.restart()
        print(envoy.record.node.outbound.port, flush=True)
        await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.anyio
@pytest.mark.parametrize("with_restart", [False, True])
async def test_envoys_of_a_killed_agent_serve_on_and_are_taken_over(tmp_path: Path, with_restart: bool) -> None:
    arguments = [sys.executable, "-c", _AGENT, str(tmp_path), *(["restart"] if with_restart else [])]
    root = Path(__file__).parents[2]
    agent = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, cwd=root, env={"PYTHONPATH": f"{root}/src:{root}"}
    )
    try:
        assert agent.stdout is not None
        port = int(await asyncio.to_thread(agent.stdout.readline))
        async with steady_load(port, connections=8) as load:
            await load.more(200)
            agent.kill()
            await asyncio.to_thread(agent.wait)
            await load.more(200)
            async with running(tmp_path, Ports()) as envoys:
                envoy = envoys.list()[0]
                before = envoy.record
                assert await envoy.is_ready()
                await until(lambda: not envoy.record.draining)
                assert envoy.record.launches == before.launches
                assert envoy.deaths == 0
                await envoy.restart()
                await until(lambda: not envoy.record.draining)
                await load.more(200)
                load.stopping = True
                assert not load.failures
    finally:
        agent.kill()
        agent.wait()
        assert agent.stdout is not None
        agent.stdout.close()
