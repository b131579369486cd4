"""Questions to real servers and programs: each is answered in time, whatever the other side does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from skep.agent.probes import Answer, Prober, Target, follow
from skep.workloads.template import Container, Probe
from tests.support.pods import free_port
from tests.support.runtimes import BASE_ENV


def target(port: int) -> Target:
    return Target(container=Container(name="x"), port=port, env=BASE_ENV)


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[int]:
    """Answer every connection; None is silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await reader.read()
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def ask(probe: dict[str, Any], port: int) -> Answer:
    prober = Prober()
    try:
        return await prober.ask(Probe.model_validate(probe), target(port))
    finally:
        await prober.close()


HTTP = {"httpGet": {"path": "/x", "port": 80}}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "good", "message"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True, ""),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", True, ""),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", False, "answered 503"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n" + b"x" * 50_000, True, ""),
        (b"nonsense\r\n\r\n", False, "GET http"),
        (None, False, "no answer within 1 s"),
    ],
)
async def test_http(answer: bytes | None, good: bool, message: str) -> None:
    async with server(answer) as port:
        found = await ask(HTTP, port)
    assert found.good is good
    assert message in found.message


@pytest.mark.anyio
async def test_tcp() -> None:
    async with server(None) as port:
        assert (await ask({"tcpSocket": {"port": 80}}, port)).good
    assert not (await ask({"tcpSocket": {"port": 80}}, free_port())).good
    assert not (await ask(HTTP, free_port())).good


@pytest.mark.anyio
async def test_exec(tmp_path: Path) -> None:
    assert (await ask({"exec": {"command": ["true"]}}, 1)).good
    failed = await ask({"exec": {"command": ["sh", "-c", "exit 4"]}}, 1)
    assert (failed.good, failed.message) == (False, "sh: exit code 4")
    assert not (await ask({"exec": {"command": ["/no/such/program"]}}, 1)).good
    began = time.perf_counter()
    late = await ask({"exec": {"command": ["sh", "-c", f"sleep 30; touch {tmp_path}/survived"]}}, 1)
    assert late.message == "no answer within 1 s"
    assert time.perf_counter() - began < 20
    assert not (tmp_path / "survived").exists()


@pytest.mark.anyio
async def test_eager_questions_find_the_first_success_early_and_do_not_count_failures() -> None:
    answers = iter([Answer(False)] * 3 + [Answer(True)] * 2)
    probe = Probe.model_validate({"httpGet": {"port": 80}, "periodSeconds": 60})

    async def next_answer() -> Answer:
        return next(answers)

    began = time.perf_counter()
    found = []
    async for answer in follow(probe, next_answer, eager=True):
        found.append(answer.good)
        if answer.good:
            break
    assert found == [False, True]
    assert time.perf_counter() - began < 30
