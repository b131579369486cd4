"""Calls other services by plain URLs, over kept connections, through the proxy that `http_proxy` names if there is one."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from ride_hailing.http import MAX_HEAD, Closed, Message, ProtocolError, Refused, read_message, render

IDLE_CONNECTIONS = 32
Address = tuple[str, int]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class CallFailed(Exception):
    """No answer came, or not in time."""


@dataclass(frozen=True)
class Answer:
    """What another service said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise CallFailed(f"the answer is not JSON: {self.body[:80]!r}") from error
        if not isinstance(value, dict):
            raise CallFailed("the answer is not a JSON object")
        return value

    def expect(self, what: str) -> dict[str, Any]:
        """Return the body of a good answer; pass a refusal on to our own caller."""
        if self.status < 300:
            return self.json
        try:
            message = str(self.json.get("error", ""))
        except CallFailed:
            message = self.body.decode(errors="replace")[:200]
        raise Refused(self.status if self.status < 500 else 502, f"{what}: {self.status} {message}".strip())


@dataclass
class Client:
    """A pool of connections. Use as an async context manager."""

    proxy: Address | None = None
    direct: frozenset[str] = frozenset()
    """Hosts that are called without the proxy."""
    timeout_s: float = 5.0
    idle: dict[Address, list[Connection]] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, timeout_s: float = 5.0) -> Self:
        """Read `http_proxy` and `no_proxy` as most HTTP clients do."""
        url = os.environ.get("http_proxy") or os.environ.get("HTTP_PROXY") or ""
        direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        return cls(proxy_address(url), frozenset(host.strip() for host in direct.split(",") if host.strip()), timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connections in self.idle.values():
            for _reader, writer in connections:
                writer.close()
        self.idle.clear()

    async def call(
        self, method: str, url: str, document: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request and return the answer, whatever its status; `CallFailed` when there is none."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        proxied = self.proxy is not None and host not in self.direct
        address = self.proxy if self.proxy and proxied else (host, parts.port or 80)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target = f"http://{parts.netloc}{path}" if proxied else path
        body = b"" if document is None else json.dumps(document).encode()
        lines = {"host": parts.netloc, **({"content-type": "application/json"} if body else {}), **(headers or {})}
        payload = render(f"{method} {target} HTTP/1.1", lines, body)
        try:
            async with asyncio.timeout(self.timeout_s):
                message = await self._exchange(address, payload)
        except (TimeoutError, OSError, ProtocolError, Closed) as error:
            raise CallFailed(f"{method} {url}: {error or type(error).__name__}") from error
        return Answer(_status(message), message.headers, message.body)

    async def _exchange(self, address: Address, payload: bytes) -> Message:
        """Send on a kept connection or, if that one turns out to be closed, on a new one.

        A request that got no byte of an answer on a kept connection is sent again: the other side closed the connection
        while it was idle. Every service here takes the same request twice without doing the work twice.
        """
        while kept := self.idle.get(address):
            try:
                return await self._send(address, kept.pop(), payload)
            except (Closed, ConnectionError):
                continue
        return await self._send(address, await asyncio.open_connection(*address, limit=MAX_HEAD), payload)

    async def _send(self, address: Address, connection: Connection, payload: bytes) -> Message:
        reader, writer = connection
        keep = False
        try:
            writer.write(payload)
            await writer.drain()
            message = await read_message(reader)
            while _status(message) < 200:
                message = await read_message(reader)
            keep = message.keeps_alive
        finally:
            idle = self.idle.setdefault(address, [])
            if keep and len(idle) < IDLE_CONNECTIONS:
                idle.append(connection)
            else:
                writer.close()
        return message


def proxy_address(url: str) -> Address | None:
    """Read a proxy's URL; an empty one means none."""
    if not url:
        return None
    parts = urlsplit(url if "//" in url else f"http://{url}")
    return (parts.hostname or "127.0.0.1", parts.port or 80)


def _status(message: Message) -> int:
    parts = message.start.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
        raise ProtocolError(f"not a response: {message.start!r}")
    return int(parts[1])
