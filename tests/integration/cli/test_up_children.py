"""The parent of the platform's processes: ports, restarts, taking over, stopping."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from skep.cli.children import Child, ChildSpec, is_running, running_pid, shorten
from skep.cli.up import answers, check_ports, only_one, port_problem
from skep.clock import SystemClock
from skep.errors import Conflict, Unavailable
from skep.settings import load_settings

SLEEPER = "import signal, sys, time\nprint('begun', flush=True)\ntime.sleep(600)\n"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('begun', flush=True)\ntime.sleep(600)\n"
)


def child_of(folder: Path, program: str = SLEEPER, stop_limit_s: float = 10.0) -> tuple[Child, list[str]]:
    said: list[str] = []
    spec = ChildSpec("sleeper", (sys.executable, "-c", program, str(folder)), folder, stop_limit_s)
    return Child(spec, SystemClock(), said.append), said


async def until_begun(child: Child, times: int = 1) -> None:
    async with asyncio.timeout(60):
        while not child.spec.log.exists() or child.spec.log.read_text().count("begun") < times:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)


def test_a_killed_child_is_started_again_and_stops_when_told(tmp_path: Path) -> None:
    async def run() -> None:
        child, said = child_of(tmp_path)
        child.start()
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(child.keep())
            await until_begun(child)
            first = child.pid
            os.kill(first, signal.SIGKILL)
            await until_begun(child, 2)
            assert child.pid != first
            assert is_running(child.pid)
            assert "by signal SIGKILL" in said[0]
            assert str(child.spec.log) in said[0]
            second = child.pid
            assert await child.stop()
            await keeping
        assert not is_running(second)
        assert not child.spec.pid_file.exists()

    asyncio.run(run())


def test_a_child_that_refuses_to_start_is_not_tried_again(tmp_path: Path) -> None:
    async def run() -> None:
        child, said = child_of(tmp_path, "import sys\nsys.exit(1)\n")
        child.start()
        async with asyncio.timeout(60):
            await child.keep()
        assert (child.refused, child.deaths, said) == (True, 1, [])
        await child.stop()

    asyncio.run(run())


def test_a_stubborn_child_is_killed_after_its_limit(tmp_path: Path) -> None:
    async def run() -> None:
        child, _ = child_of(tmp_path, STUBBORN, stop_limit_s=0.3)
        child.start()
        await until_begun(child)
        pid = child.pid
        assert not await child.stop()
        assert not is_running(pid)

    asyncio.run(run())


def test_what_an_earlier_parent_left_is_taken_over(tmp_path: Path) -> None:
    async def run() -> None:
        first, _ = child_of(tmp_path)
        first.start()
        await until_begun(first)
        second, _ = child_of(tmp_path)
        assert second.adopt()
        assert (second.pid, second.adopted) == (first.pid, True)
        assert await second.stop()
        assert await first.ended() == -signal.SIGTERM
        third, _ = child_of(tmp_path)
        assert not third.adopt()

    asyncio.run(run())


def test_a_process_id_used_by_another_program_is_not_taken(tmp_path: Path) -> None:
    child, _ = child_of(tmp_path)
    child.spec.pid_file.write_text(str(os.getpid()))
    assert running_pid(child.spec) == 0


def test_a_long_log_is_moved_aside(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("ab") as file:
        file.write(b"x" * 100)
        file.flush()
        shorten(log, 50)
        file.write(b"more")
    assert log.read_bytes() == b"more"
    assert (tmp_path / "server.log.1").read_bytes() == b"x" * 100


def test_a_taken_port_is_named_with_its_option(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_problem("127.0.0.1", port) == "is taken by another program"
        for option in ("http_port", "grpc_port", "gateway_http_port", "gateway_https_port"):
            ports = {"http_port": 0, "grpc_port": 0, "gateway_http_port": 1, "gateway_https_port": 2, option: port}
            settings = load_settings({**ports, "data_dir": tmp_path})
            with pytest.raises(Unavailable) as caught:
                check_ports(settings)
            assert f"port {port} on 127.0.0.1 is taken" in str(caught.value)
            assert f"--{option.replace('_', '-')}" in str(caught.value)
    assert port_problem("127.0.0.1", port) == ""
    assert "cannot be used" in port_problem("203.0.113.1", port)


def test_one_port_for_two_purposes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="both --http-port and --grpc-port"):
        check_ports(load_settings({"http_port": 45_123, "grpc_port": 45_123, "data_dir": tmp_path}))


def test_one_parent_for_a_directory(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(Conflict, match=f"process {os.getpid()}"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_only_a_ready_server_answers() -> None:
    async def run() -> None:
        lines = [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]

        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(lines.pop(0))
            writer.close()

        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            assert not await answers("127.0.0.1", port)
            assert await answers("127.0.0.1", port)
        assert not await answers("127.0.0.1", port)

    asyncio.run(run())
