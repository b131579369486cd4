"""Real Envoys, echoing applications and free ports for tests."""

import asyncio
import contextlib
import json
import signal
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from bench.ports import free_port as free_port
from skep.model.node import Address, Node
from skep.xds.bootstrap import bootstrap

ENVOY = Path(sysconfig.get_path("scripts")) / "envoy"


async def until(probe: Callable[[], Any] | Callable[[], Awaitable[Any]], deadline_s: float = 60.0) -> Any:
    """Poll until the probe is true; fail at the deadline."""
    async with asyncio.timeout(deadline_s):
        while True:
            result = probe()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return result
            await asyncio.sleep(0.01)


class Envoy:
    """A running Envoy."""

    def __init__(self, process: asyncio.subprocess.Process, admin: Address, log: Path) -> None:
        self.process = process
        self.admin = admin
        self.log = log

    async def get(self, path: str) -> str:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://{self.admin}{path}", timeout=5)).text

    async def listening(self) -> list[str]:
        try:
            return (await self.get("/listeners")).splitlines()
        except httpx.TransportError:
            return []

    async def stats(self) -> dict[str, str]:
        lines = (await self.get("/stats")).splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def envoy(
    node: Node, xds: Address, folder: Path, token: str = "secret", listeners: int = 1
) -> AsyncIterator[Envoy]:
    """Run an Envoy with our bootstrap until the block ends; starts when it has that many listeners."""
    admin = Address("127.0.0.1", free_port())
    config = folder / f"bootstrap-{admin.port}.json"
    config.write_text(json.dumps(bootstrap(node, xds, token, admin)))
    log = folder / f"envoy-{admin.port}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(str(ENVOY), "-c", str(config), "--disable-hot-restart", "--concurrency", "1", "-l", "info"),
            stdout=out,
            stderr=out,
        )
    running = Envoy(process, admin, log)

    async def ready() -> bool:
        assert process.returncode is None, log.read_text()[-3000:]
        return len(await running.listening()) >= listeners and (await running.get("/ready")).strip() == "LIVE"

    try:
        if listeners:
            await until(ready, 30)
        yield running
    finally:
        await running.stop()


class Application:
    """An HTTP/1.1 application that answers with what it saw, as JSON."""

    def __init__(self, name: str, server: asyncio.Server) -> None:
        self.name = name
        self.server = server
        self.seen: list[dict[str, Any]] = []
        self.delay_s = 0.0
        self.extra_headers: dict[str, str] = {}
        self.open: set[asyncio.StreamWriter] = set()

    async def close(self) -> None:
        """Stop listening and cut every connection, as a killed process would."""
        self.server.close()
        for writer in self.open:
            writer.transport.abort()
        await until(lambda: not self.open)

    @property
    def port(self) -> int:
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            await self.answer(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.open.discard(writer)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                headers: dict[str, str] = {}
                for line in head[1:]:
                    if line:
                        key, _, value = line.partition(":")
                        key = key.lower()
                        headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                saw = {"app": self.name, "method": method, "path": path, "headers": headers, "body": body.decode()}
                self.seen.append(saw)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                answer = json.dumps(saw).encode()
                extra = "".join(f"{key}: {value}\r\n" for key, value in self.extra_headers.items())
                writer.write(
                    f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{extra}content-length: {len(answer)}\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()


@contextlib.asynccontextmanager
async def application(name: str) -> AsyncIterator[Application]:
    """Run an application until the block ends."""
    holder: list[Application] = []
    server = await asyncio.start_server(lambda r, w: holder[0].serve(r, w), "127.0.0.1", 0)
    holder.append(Application(name, server))
    try:
        yield holder[0]
    finally:
        await holder[0].close()
