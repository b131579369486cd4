"""What a thing that runs processes on this host must do. In: a process to run; out: what became of it.

Implementations live in `runtimes/`; all pass `tests/contract/test_runtime.py`. A runtime decides nothing: it never restarts.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec


class ProcessSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One process to run."""

    name: str
    """Unique on the host: `pod.<namespace>.<pod>.<run>`, `envoy.<…>.<epoch>`."""
    command: tuple[str, ...]
    env: Mapping[str, str]
    """The whole environment: nothing is inherited from the agent."""
    directory: str | None = None
    """Where it starts; the agent's own directory when None."""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Kept with the process, for whoever created it to find it again."""
    stop_grace_s: float = 10.0
    """How long it may take to stop after SIGTERM."""
    output: str | None = None
    """Directory for stdout and stderr that outlives `destroy`; None for one that is removed with the process."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was created and not destroyed yet."""

    spec: ProcessSpec
    pid: int
    started_at: str
    """RFC 3339, UTC."""
    state: Literal["running", "exited"]
    exit_code: int | None = None
    """As a shell says it: 0 to 255, 128 + the signal that ended it; None while it runs or when nobody saw it exit."""
    stdout_path: str
    stderr_path: str


class Runtime(Protocol):
    """Runs processes that outlive the agent.

    Calls for different names may run concurrently. A cancelled `create` may have started the process: destroy it.
    """

    async def create(self, spec: ProcessSpec) -> Process:
        """Start a process in a session of its own.

        `Conflict` when the name is taken, even by one that exited; `Invalid` when the command cannot be run;
        `Unavailable` when the host cannot start one now.
        """
        ...

    async def destroy(self, name: str) -> None:
        """Stop it with all its children (SIGTERM, SIGKILL after its grace) and forget it; nothing when unknown."""
        ...

    async def load(self, name: str) -> Process | None:
        """Return what is known of one process; None when unknown."""
        ...

    async def list(self) -> Sequence[Process]:
        """Return all processes by name, the exited ones too."""
        ...

    async def recover(self) -> Sequence[Process]:
        """Take over what an earlier agent left, without touching it, and return all processes. Call it first."""
        ...

    async def wait(self, name: str) -> int | None:
        """Return the exit code once it has exited (None when unknown); `NotFound` for an unknown or forgotten name."""
        ...
