"""What every service of the company is built on: routes to handlers, keep-alive, /healthz and an orderly stop."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ride_hailing.client import CallFailed, Client
from ride_hailing.http import (
    MAX_HEAD,
    Closed,
    Message,
    ProtocolError,
    Refused,
    Request,
    parse_request,
    read_message,
    render,
)

Handler = Callable[[Request], Awaitable[dict[str, Any]]]
FINISH_S = 5.0
"""How long requests in progress get after that."""


@dataclass
class Service:
    """A named set of routes and the client its handlers call others with."""

    name: str
    client: Client = field(default_factory=Client.from_environment)
    routes: list[tuple[str, tuple[str, ...], Handler]] = field(default_factory=list)
    open: dict[asyncio.StreamWriter, bool] = field(default_factory=dict)
    """Connections, and whether a request is in progress on each."""
    stopping: bool = False
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def on(self, method: str, path: str) -> Callable[[Handler], Handler]:
        """Answer a method and a path; `{name}` in the path takes one element of it."""

        def register(handler: Handler) -> Handler:
            self.routes.append((method, tuple(path.strip("/").split("/")), handler))
            return handler

        return register

    async def call(
        self, request: Request, method: str, url: str, document: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Call another service on behalf of a request, with its context; a refusal there is a refusal here."""
        answer = await self.client.call(method, url, document, request.context)
        return answer.expect(f"{method} {url}")

    async def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Find the handler and return its status and document."""
        if request.path == "/healthz":
            return (503, {"status": "stopping"}) if self.stopping else (200, {"status": "ok"})
        request.headers.setdefault("x-request-id", str(uuid.uuid4()))
        parts = tuple(request.path.strip("/").split("/"))
        methods = set()
        for method, pattern, handler in self.routes:
            arguments = match_path(pattern, parts)
            if arguments is None:
                continue
            if method == request.method:
                request.arguments = arguments
                return await self._run(handler, request)
            methods.add(method)
        if methods:
            return 405, {"error": f"{request.path} takes {', '.join(sorted(methods))}"}
        return 404, {"error": f"{self.name} has no {request.path}"}

    async def _run(self, handler: Handler, request: Request) -> tuple[int, dict[str, Any]]:
        try:
            return 200, await handler(request)
        except Refused as refusal:
            return refusal.status, {"error": str(refusal), "service": self.name}
        except CallFailed as failure:
            return 502, {"error": str(failure), "service": self.name}
        except Exception as error:  # noqa: BLE001  a bug spoils one request, not the connection
            sys.stderr.write(f"{self.name}: {request.method} {request.path}: {error!r}\n")
            return 500, {"error": "internal error", "service": self.name}

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it."""
        self.open[writer] = False
        try:
            while await self._one(reader, writer):
                pass
        except (Closed, ConnectionError, asyncio.CancelledError):
            pass
        except ProtocolError as error:
            body = json.dumps({"error": str(error), "service": self.name}).encode()
            writer.write(render("HTTP/1.1 400 Bad Request", {"connection": "close"}, body))
        finally:
            self.open.pop(writer, None)
            if not any(self.open.values()):
                self._idle.set()
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        message: Message = await read_message(reader)
        self.open[writer] = True
        status, document = await self.answer(parse_request(message))
        keep = message.keeps_alive and not self.stopping
        headers = {"content-type": "application/json", "connection": "keep-alive" if keep else "close"}
        writer.write(
            render(f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}", headers, json.dumps(document).encode())
        )
        await writer.drain()
        self.open[writer] = False
        return keep

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen while the context is open; gives the port, and lets requests in progress finish at the end."""
        server = await asyncio.start_server(self.connection, host, port, limit=MAX_HEAD, backlog=512)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await self._finish()
            await self.client.__aexit__()

    async def _finish(self) -> None:
        self.stopping = True
        for writer, busy in list(self.open.items()):
            if not busy:
                writer.close()
        if any(self.open.values()):
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), FINISH_S)

    async def run(self) -> None:
        """Serve on PORT until SIGTERM or SIGINT, then stop in order."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        port = int(os.environ.get("PORT", "8000"))
        async with self.serving(os.environ.get("HOST", "127.0.0.1"), port) as actual:
            sys.stdout.write(f"{self.name}: listening on {actual}\n")
            sys.stdout.flush()
            await stop.wait()
            self.stopping = True
            await asyncio.sleep(
                float(os.environ.get("DRAIN_S", "1"))
            )  # callers learn that we stop before the port closes
        sys.stdout.write(f"{self.name}: stopped\n")

    def main(self) -> None:
        """Run as a program."""
        asyncio.run(self.run())


REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


def match_path(pattern: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    """Return what the named parts of the pattern stand for, or None when the path is another."""
    if len(pattern) != len(parts):
        return None
    arguments = {}
    for expected, actual in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            arguments[expected.strip("{}")] = actual
        elif expected != actual:
            return None
    return arguments
