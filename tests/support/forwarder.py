"""A forward proxy for tests: sends `http://name/…` to one of the ports that were given for the name, in turn."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from urllib.parse import urlsplit

from ride_hailing.http import Closed, Message, ProtocolError, read_message, render


class Forwarder:
    """Knows names and ports, and remembers the calls it carried."""

    def __init__(self, ports: Mapping[str, Sequence[int]]) -> None:
        self.calls: list[tuple[str, Message]] = []
        self.learn(ports)

    def learn(self, ports: Mapping[str, Sequence[int]]) -> None:
        """Replace what it knows."""
        self._turns = {name: cycle(numbers) for name, numbers in ports.items()}

    async def _carry(self, message: Message) -> bytes:
        host = urlsplit(f"//{message.headers.get('host', '')}").hostname or ""
        self.calls.append((host, message))
        if host not in self._turns:
            return render("HTTP/1.1 404 Not Found", {}, b"")
        reader, writer = await asyncio.open_connection("127.0.0.1", next(self._turns[host]))
        writer.write(_again(message, {"connection": "close"}))
        answer = await read_message(reader)
        writer.close()
        return _again(answer, {"connection": "keep-alive"})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await self._carry(await read_message(reader)))
                await writer.drain()
        except (Closed, ProtocolError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Listen on a free port while the context is open."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield int(server.sockets[0].getsockname()[1])


def _again(message: Message, changes: Mapping[str, str]) -> bytes:
    headers = {name: value for name, value in message.headers.items() if name != "content-length"}
    return render(message.start, {**headers, **changes}, message.body)
