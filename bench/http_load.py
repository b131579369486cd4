"""A cheap HTTP/1.1 load generator: requests rendered beforehand, one outstanding on each kept-alive connection.

In: rendered requests and how many connections; out: how many answers came, of which status, and how long each took.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import cast


class Tally:
    """What came back."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.latencies_s: list[float] = []
        self.bodies: list[bytes] = []
        """Of answers that have one."""

    @property
    def answers(self) -> int:
        """How many answers came."""
        return sum(self.statuses.values())


def render_request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """Render a request as bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, requests: Iterator[bytes], tally: Tally) -> None:
        self._requests = requests
        self._tally = tally
        self._buffer = b""
        self._sent_s = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Read an answer; only Content-Length framing and 204 are known."""
        buffer = self._buffer + data
        head, mark, rest = buffer.partition(b"\r\n\r\n")
        if not mark or len(rest) < _length(head):
            self._buffer = buffer
            return
        self._buffer = b""
        self._tally.statuses[int(head[9:12])] += 1
        self._tally.latencies_s.append(time.perf_counter() - self._sent_s)
        if rest:
            self._tally.bodies.append(rest)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, too early if a request is outstanding."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._sent_s = time.perf_counter()
        self._transport.write(request)


async def drive(port: int, requests: Iterator[bytes], connections: int, limit_s: float = 300.0) -> Tally:
    """Send every request, over some connections, and wait for the last answer."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit_s):
        made = [
            (await loop.create_connection(lambda: Connection(requests, tally), "127.0.0.1", port))[1]
            for _ in range(connections)
        ]
        for connection in made:
            await connection.done
    return tally


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])
