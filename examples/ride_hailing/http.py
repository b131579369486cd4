"""Reads and writes HTTP/1.1 messages on asyncio streams: what the services and their client share."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MAX_HEAD = 64 * 1024
MAX_BODY = 1024 * 1024
CONTEXT = ("x-request-id", "traceparent", "tracestate", "baggage", "x-user")
"""The headers that travel with a call through every service it causes."""


class ProtocolError(Exception):
    """The other side does not speak HTTP/1.1 as we read it."""


class Closed(Exception):
    """The other side closed the connection before a message began."""


@dataclass
class Message:
    """A request or a response as it is on the wire."""

    start: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def keeps_alive(self) -> bool:
        """Say whether the connection may carry another message."""
        connection = self.headers.get("connection", "").lower()
        if "HTTP/1.0" in self.start:
            return "keep-alive" in connection
        return "close" not in connection


@dataclass
class Request:
    """What a handler gets."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    arguments: dict[str, str] = field(default_factory=dict)
    """The parts of the path that the route names."""

    @property
    def context(self) -> dict[str, str]:
        """Return the headers to send along with every call made for this request."""
        return {name: self.headers[name] for name in CONTEXT if name in self.headers}

    @property
    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; `Refused` when it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused(400, f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise Refused(400, "the body must be a JSON object")
        return value

    def text(self, name: str) -> str:
        """Return a field of the body that must be a non-empty string."""
        value = self.json.get(name)
        if not isinstance(value, str) or not value:
            raise Refused(400, f"{name}: a non-empty string is needed")
        return value

    def number(self, name: str) -> float:
        """Return a field of the body that must be a number of at least 0."""
        value = self.json.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise Refused(400, f"{name}: a number of at least 0 is needed")
        return float(value)


class Refused(Exception):
    """The answer is an error, and this one."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_message(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Message:
    """Read one message; `Closed` when the stream ends before it begins."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ProtocolError("the connection ended inside a header") from error
        raise Closed from error
    except asyncio.LimitOverrunError as error:
        raise ProtocolError("the header is too long") from error
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise ProtocolError(f"not a header: {line!r}")
        headers[name.lower()] = value.strip()
    message = Message(start, headers)
    if not bodiless:
        message.body = await _read_body(reader, message)
    return message


async def _read_body(reader: asyncio.StreamReader, message: Message) -> bytes:
    if "chunked" in message.headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    length = message.headers.get("content-length")
    if length is None:
        return await _read_to_end(reader) if message.start.startswith("HTTP/") and not message.keeps_alive else b""
    if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY:
        raise ProtocolError(f"content-length {length!r} is not accepted")
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as error:
        raise ProtocolError("the connection ended inside a body") from error


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    body = await reader.read(MAX_BODY + 1)
    while more := await reader.read(MAX_BODY + 1):
        body += more
        if len(body) > MAX_BODY:
            raise ProtocolError("the body is too long")
    return body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    try:
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            if size < 0 or len(body) + size > MAX_BODY:
                raise ProtocolError("the body is too long")
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        while (await reader.readuntil(b"\r\n")) != b"\r\n":
            pass
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ProtocolError("a chunk is broken") from error
    return body


def parse_request(message: Message) -> Request:
    """Read the request line; the target may be a path or, as proxies get it, a whole URL."""
    parts = message.start.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ProtocolError(f"not a request: {message.start!r}")
    target = urlsplit(parts[1])
    return Request(parts[0], target.path or "/", dict(parse_qsl(target.query)), message.headers, message.body)


def render(start: str, headers: dict[str, str], body: bytes) -> bytes:
    """Write one message with its length."""
    lines = [start, *(f"{name}: {value}" for name, value in headers.items()), f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
