"""What the HTTP face needs of the rest, handed over once by `server.py`. A frozen record; no behaviour."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from skep.auth.tokens import Tokens
from skep.clock import Clock
from skep.registry.service import Registry
from skep.store.store import Store
from skep.watch import Cell


class LogQuery(msgspec.Struct, frozen=True):
    """What part of a replica's output is asked for."""

    namespace: str
    pod: str
    container: str = ""
    node: str = ""
    """Which host runs it."""
    follow: bool = False
    previous: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None


PodLog = Callable[[LogQuery], Awaitable[AsyncIterator[bytes]]]
Overlay = Callable[[Mapping[str, Any]], dict[str, Any]]


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `build_app` composes."""

    store: Store
    tokens: Tokens
    clock: Clock
    version: str
    stopping: Cell[bool]
    """Set to true when the server is about to stop, so that watches end and connections can close."""
    registry: Registry | None = None
    """None leaves out the registry's routes; Instances are then shown as stored."""
    readiness: Callable[[], str] = lambda: ""
    """Returns why the server is not ready, or an empty text."""
    pod_log: PodLog | None = None
    """Reads a replica's output; None answers that logs are not available."""
