"""Replicas' output from an agent that answers, refuses, breaks off or is not there. The agent is a socket of the test."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from skep.api.parts import LogQuery
from skep.api.podlogs import local_pod_log
from skep.clients.agent import Chunk, Failure, ReadLogs, Reply, socket_path
from skep.errors import NotFound, Unavailable


@asynccontextmanager
async def agent(folder: Path, replies: Sequence[Reply]) -> AsyncIterator[list[ReadLogs]]:
    """Answer each connection's request with these replies, then hang up."""
    asked: list[ReadLogs] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(msgspec.json.decode(await reader.readline(), type=ReadLogs))
        for reply in replies:
            writer.write(msgspec.json.encode(reply) + b"\n")
        await writer.drain()
        writer.close()

    path = socket_path(folder)
    path.parent.mkdir(parents=True)
    async with await asyncio.start_unix_server(serve, path):
        yield asked


async def read(folder: Path, query: LogQuery) -> bytes:
    return b"".join([part async for part in await local_pod_log(folder)(query)])


LINES = [Reply(chunk=Chunk("stdout", "")), Reply(chunk=Chunk("stdout", "one\n")), Reply(chunk=Chunk("stderr", "two\n"))]


@pytest.mark.anyio
async def test_chunks_follow_each_other_until_the_end(tmp_path: Path) -> None:
    async with agent(tmp_path, [*LINES, Reply()]) as asked:
        assert await read(tmp_path, LogQuery("shop", "web-1", tail_lines=3, previous=True)) == b"one\ntwo\n"
        assert await read(tmp_path, LogQuery("shop", "web-1", limit_bytes=5)) == b"one\nt"
    assert asked[0] == ReadLogs(namespace="shop", pod="web-1", tail=3, previous=True)
    assert asked[1].tail == -1


@pytest.mark.anyio
async def test_an_agent_that_goes_ends_the_text(tmp_path: Path) -> None:
    async with agent(tmp_path, LINES):
        assert await read(tmp_path, LogQuery("shop", "web-1", follow=True)) == b"one\ntwo\n"


@pytest.mark.anyio
async def test_refusals_come_before_the_first_byte(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no agent runs"):
        await local_pod_log(tmp_path)(LogQuery("shop", "web-1"))
    async with agent(tmp_path, [Reply(error=Failure("not-found", "web-1 does not run on this host"))]):
        with pytest.raises(NotFound, match="belongs to host-2"):
            await local_pod_log(tmp_path)(LogQuery("shop", "web-1", node="host-2"))
