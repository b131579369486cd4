"""The agent's unix socket: its messages and a client. One JSON document a line, each way; the socket is the user's own (0600).

A request is answered by one line, `{"result": …}` or `{"error": {"code", "message"}}`; `logs` first sends any number of
`{"chunk": …}`. A connection that sent `open` is a session: the instance is detached when the connection ends.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from skep.errors import (
    Conflict,
    Denied,
    Expired,
    Invalid,
    NotFound,
    SkepError,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from skep.model.instance import Health
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.node import Address

T = TypeVar("T")
MAX_LINE_BYTES = 4 * 1024 * 1024


def socket_path(data_dir: Path) -> Path:
    """Say where the agent of a data directory listens."""
    return data_dir / "agent" / "agent.sock"


class Open(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="open"):
    """Attach a sidecar to an instance for as long as the connection lives. Answered with `Opened`."""

    namespace: Namespace
    service: ServiceName
    id: InstanceId
    port: int = 0
    """Where the application listens on loopback; 0 to be given a free one."""
    protocol: str = "http"
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    weight: int = 100
    lease_s: float = 15.0
    health: Health = Health.STARTING
    outbound_port: int = 0
    """The port of an earlier session's outbound listener, to have it again; 0 for any."""


class SetHealth(msgspec.Struct, frozen=True, tag_field="op", tag="health"):
    """Report the health of the session's instance; answered when the registry knows (true) or after 2 s (false)."""

    health: Health


class RestartEnvoy(msgspec.Struct, frozen=True, tag_field="op", tag="restart-envoy"):
    """Hot-restart proxies. Answered with `Restarted`."""

    names: tuple[str, ...] = ()
    """As `proxies` names them: `orders/orders-1`, `gateway/edge`, or exact names; none for all."""
    namespace: str = ""
    """Limits to a namespace; empty for all."""


class ListProxies(msgspec.Struct, frozen=True, tag_field="op", tag="proxies"):
    """Answered with a list of `Proxy`."""


class ListProcesses(msgspec.Struct, frozen=True, tag_field="op", tag="processes"):
    """Answered with a list of `LocalProcess`."""


class ReadStats(msgspec.Struct, frozen=True, tag_field="op", tag="stats"):
    """Answered with a list of `Traffic`, over the last seconds; takes a second when nobody asked before."""


class ReadLogs(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="logs"):
    """Answered with `Chunk`s of what a process or a pod's replica wrote, then null; with `follow` until it is gone.

    The first chunk comes at once, empty when nothing is written yet. A pod is followed through its restarts.
    """

    process: str = ""
    """As `processes` names it; or else the pod."""
    namespace: str = ""
    pod: str = ""
    previous: bool = False
    """Of a pod: the run before the present one."""
    streams: tuple[Literal["stdout", "stderr"], ...] = ("stdout", "stderr")
    follow: bool = False
    tail: int = -1
    """How many of the last lines to begin with, those of the stream written last before the other's; -1 for all."""


Request = Open | SetHealth | RestartEnvoy | ListProxies | ListProcesses | ReadStats | ReadLogs


class Opened(msgspec.Struct, frozen=True):
    """A session's addresses."""

    outbound: Address
    """The application's `http_proxy`."""
    inbound: Address
    """Where callers reach the instance."""
    port: int
    """Where the application must listen."""


class Restarted(msgspec.Struct, frozen=True):
    """What became of a hot restart."""

    restarted: Sequence[str] = ()
    failed: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Why not, by name."""


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """One Envoy of the host."""

    name: str
    title: str
    namespace: str
    kind: Literal["sidecar", "gateway"]
    state: str
    """ready, starting or unconnected (serving, but the control plane is away)."""
    epoch: int
    draining: int
    """How many older processes are leaving."""
    deaths: int
    process: str
    """Its name in the runtime, for `logs`."""
    admin: Address
    outbound: Address | None = None
    inbound: Address | None = None
    health: str = ""
    """Of a sidecar's instance."""


class LocalProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process the agent runs."""

    name: str
    pid: int
    state: str
    started_at: str
    exit_code: int | None = None
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    stdout_path: str = ""
    stderr_path: str = ""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What one service, or one gateway, was asked lately, as its own Envoys saw it."""

    namespace: str
    name: str
    kind: Literal["service", "gateway"]
    instances: int
    passing: int
    requests_per_s: float
    success_ratio: float | None
    """Answers below 500 among all; None without requests."""
    p50_ms: float | None
    p99_ms: float | None
    requests_total: int
    window_s: float


class Chunk(msgspec.Struct, frozen=True):
    """Some of what a process wrote."""

    stream: str
    text: str


class Failure(msgspec.Struct, frozen=True):
    """An error on the wire."""

    code: str
    message: str


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the agent's."""

    result: Any = None
    error: Failure | None = None
    chunk: Chunk | None = None


_REPLIES = msgspec.json.Decoder(Reply)
_ERRORS: dict[str, type[SkepError]] = {
    error.code: error
    for error in (Invalid, NotFound, Conflict, Expired, Denied, Unauthenticated, Unavailable, Unsupported)
}


class AgentConnection:
    """One connection to the agent; closing it ends its session. Calls are made one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def call(self, request: Request, answer: type[T], limit_s: float = 60.0) -> T:
        """Send a request and return its answer; the agent's error is raised as it was there."""
        try:
            async with asyncio.timeout(limit_s):
                await self._send(request)
                reply = await self._receive()
        except TimeoutError:
            raise Unavailable(f"the agent did not answer within {limit_s:g} s") from None
        return msgspec.convert(reply.result, answer)

    async def stream(self, request: ReadLogs) -> AsyncIterator[Chunk]:
        """Send a request and yield the parts of its answer as they come."""
        await self._send(request)
        while (chunk := (await self._receive()).chunk) is not None:
            yield chunk

    async def ended(self) -> None:
        """Return when the agent has gone. Not to be mixed with calls."""
        with contextlib.suppress(OSError):
            await self._reader.read(1)

    async def close(self) -> None:
        """End the connection, and its session."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _send(self, request: Request) -> None:
        try:
            self._writer.write(msgspec.json.encode(request) + b"\n")
            await self._writer.drain()
        except OSError as error:
            raise Unavailable("the agent has gone") from error

    async def _receive(self) -> Reply:
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as error:
            raise Unavailable("the agent has gone") from error
        if not line:
            raise Unavailable("the agent has gone")
        reply = _REPLIES.decode(line)
        if reply.error is not None:
            raise _ERRORS.get(reply.error.code, SkepError)(reply.error.message)
        return reply


async def connect(data_dir: Path) -> AgentConnection:
    """Connect to the agent of a data directory; `Unavailable` says how to start one."""
    path = socket_path(data_dir)
    try:
        async with asyncio.timeout(5.0):
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
    except (OSError, TimeoutError) as error:
        raise Unavailable(
            f"no agent runs on this host for {data_dir}: start the platform with `skep up`, or the agent with `skep agent`"
        ) from error
    return AgentConnection(reader, writer)


@contextlib.asynccontextmanager
async def connected(data_dir: Path) -> AsyncIterator[AgentConnection]:
    """Connect for the length of a block."""
    connection = await connect(data_dir)
    try:
        yield connection
    finally:
        await connection.close()
