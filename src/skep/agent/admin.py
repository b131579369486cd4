"""Envoy's admin interface on loopback. In: an admin address; out: small records. Never changes what Envoy does."""

import asyncio

import httpx
import msgspec

from skep.errors import Unavailable
from skep.model.node import Address

_LIMIT_S = 5.0


class _CommandLine(msgspec.Struct):
    restart_epoch: int = 0


class ServerInfo(msgspec.Struct, frozen=True):
    """Which process answers, and how far it is."""

    state: str
    """LIVE, DRAINING, PRE_INITIALIZING or INITIALIZING."""
    command_line_options: _CommandLine = msgspec.field(default_factory=_CommandLine)
    uptime_current_epoch: str = "0s"

    @property
    def epoch(self) -> int:
        """The restart epoch of the process that answers."""
        return self.command_line_options.restart_epoch


class Admin:
    """Asks Envoys on this host."""

    def __init__(self) -> None:
        # Kept-alive connections would follow an Envoy into its drain: each question is a connection of its own.
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
        self._http = httpx.AsyncClient(timeout=_LIMIT_S, limits=limits, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def info(self, admin: Address) -> ServerInfo | None:
        """Return the state of the process that answers now; None when none does."""
        try:
            answer = await self._http.get(f"http://{admin}/server_info")
            return msgspec.json.decode(answer.content, type=ServerInfo)
        except (httpx.HTTPError, msgspec.DecodeError):
            return None

    async def text(self, admin: Address, path: str) -> bytes:
        """Return what a path answers; `Unavailable` when Envoy does not."""
        try:
            answer = await self._http.get(f"http://{admin}{path}")
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"Envoy at {admin} does not answer {path}: {type(error).__name__}") from error
        return answer.content

    async def is_connected(self, admin: Address) -> bool:
        """Tell whether this Envoy can learn its routes: its control plane is connected, or it has none."""
        try:
            answer = await self.text(admin, "/stats?format=text&filter=^control_plane.connected_state$")
        except Unavailable:
            return False
        return not answer.strip().endswith(b": 0")


async def accepts(address: Address) -> bool:
    """Tell whether something accepts connections at an address."""
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
