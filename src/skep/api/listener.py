"""One port for HTTP and HTTPS: each connection's first byte tells which. kubectl sends tokens over TLS only; agents on the
same host need none.

In: a uvicorn configuration, a TLS context and bound sockets; out: a server that is used like uvicorn's.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

_log = logging.getLogger(__name__)
FIRST_BYTE_S = 20.0
HANDSHAKE_S = 10.0
ACCEPT_RETRY_S = 0.2
BACKLOG = 2048
_TLS_HANDSHAKE = b"\x16"


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Load a certificate for serving."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


class EitherServer(uvicorn.Server):
    """uvicorn behind a doorman; signals are left to the caller."""

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext) -> None:
        super().__init__(config)
        self._tls = tls

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: the rest of the process must stop as well."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets given."""
        assert sockets is not None
        await self.lifespan.startup()
        self.servers = [_Doorman(taken, self._protocol, self._tls) for taken in sockets]  # type: ignore[misc]
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


class _Doorman:
    """Accepts connections, looks at their first byte, and hands them on; closes like an asyncio server."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext) -> None:
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._listener = listener
        self._protocol = protocol
        self._tls = tls
        # Held here until it ends and awaited by wait_closed(): uvicorn starts and closes servers, not tasks.
        self._task = asyncio.get_running_loop().create_task(self._accept(), name="accept")

    def close(self) -> None:
        """Take no more connections; those handed on live."""
        self._task.cancel()

    async def wait_closed(self) -> None:
        """Return when it is so."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as greetings:
            while True:
                try:
                    connection, _ = await loop.sock_accept(self._listener)
                except OSError as error:
                    # Too many open files, or the caller was gone already: neither may end the listening.
                    _log.warning("a connection could not be accepted: %s", error.strerror)
                    await asyncio.sleep(ACCEPT_RETRY_S)
                    continue
                greetings.create_task(self._greet(connection))

    async def _greet(self, connection: socket.socket) -> None:
        handed_on = False
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(FIRST_BYTE_S):
                first = await _peek(connection)
            if not first:
                return
            loop = asyncio.get_running_loop()
            tls = self._tls if first == _TLS_HANDSHAKE else None
            limit = HANDSHAKE_S if tls else None
            handed_on = True
            await loop.connect_accepted_socket(self._protocol, connection, ssl=tls, ssl_handshake_timeout=limit)
        except (OSError, TimeoutError) as error:
            _log.debug("a connection was dropped before its first request: %s", error)
        finally:
            if not handed_on:
                connection.close()


async def _peek(connection: socket.socket) -> bytes:
    """Wait for the first byte and leave it where it is; empty when the caller left."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(connection, wake)
    try:
        await readable
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)
