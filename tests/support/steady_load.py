"""Steady HTTP/1.1 load from keep-alive connections that obey `Connection: close`; counts every failure with its reason."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Load:
    """What the callers saw."""

    def __init__(self) -> None:
        self.succeeded = 0
        self.failures: Counter[str] = Counter()
        self.stopping = False

    async def more(self, requests: int, limit_s: float = 60.0) -> None:
        """Wait until so many more requests succeeded."""
        goal = self.succeeded + requests
        async with asyncio.timeout(limit_s):
            while self.succeeded < goal:  # noqa: ASYNC110  a deadline is set
                await asyncio.sleep(0.01)


@asynccontextmanager
async def steady_load(
    port: int, *, connections: int = 16, target: str = "/", host: str = "app", pause_s: float = 0.005
) -> AsyncIterator[Load]:
    """Call from many connections until the block ends; every call has a limit of 15 s."""
    load = Load()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_caller(load, port, f"GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode(), pause_s))
        try:
            yield load
        finally:
            load.stopping = True


async def _caller(load: Load, port: int, request: bytes, pause_s: float) -> None:
    while not load.stopping:
        try:
            async with _connection(port) as (reader, writer):
                closes = False
                while not (closes or load.stopping):
                    async with asyncio.timeout(15):
                        writer.write(request)
                        status, closes = await _answer(reader)
                    if status == 200:
                        load.succeeded += 1
                    else:
                        load.failures[f"status {status}"] += 1
                    await asyncio.sleep(pause_s)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            load.failures[repr(error)] += 1
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(15):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), None)
    if length is not None:
        await reader.readexactly(length)
    elif "transfer-encoding: chunked" in head:
        while (size := int(await reader.readline(), 16)) or await reader.readline() != b"\r\n":
            await reader.readexactly(size + 2)
    return status, "connection: close" in head
