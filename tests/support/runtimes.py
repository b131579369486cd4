"""A runtime in memory that passes the contract suite, and the commands the suite asks every runtime to understand."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from skep.errors import Conflict, Invalid, NotFound
from skep.workloads.runtime import Process, ProcessSpec


@dataclass
class FakeHost:
    """What outlives a `FakeRuntime`: the processes."""

    processes: dict[str, Process] = field(default_factory=dict)
    ended: dict[str, asyncio.Event] = field(default_factory=dict)
    pids: int = 1000
    codes: dict[str, int] = field(default_factory=dict)
    signals: list[tuple[str, str]] = field(default_factory=list)

    def end(self, name: str, code: int) -> None:
        """Let a process exit."""
        process = self.processes[name]
        if process.state == "running":
            self.processes[name] = msgspec.structs.replace(process, state="exited", exit_code=code)
            self.codes[name] = code
            self.ended[name].set()


class FakeRuntime:
    """Understands `exit N`, `sleep`, `stubborn` (does not stop at SIGTERM); everything else cannot be run."""

    def __init__(self, host: FakeHost | None = None) -> None:
        self.host = host or FakeHost()
        self._known: set[str] = set()

    async def create(self, spec: ProcessSpec) -> Process:
        """Start a pretended process."""
        await asyncio.sleep(0)
        if spec.name in self.host.processes:
            raise Conflict(f"a process named {spec.name} exists already")
        if not spec.command or spec.command[0] not in {"exit", "sleep", "stubborn"}:
            raise Invalid(f"cannot start {spec.name}: no such file")
        self.host.pids += 1
        self._known.add(spec.name)
        folder = spec.output or f"/processes/{spec.name}"
        self.host.ended[spec.name] = asyncio.Event()
        self.host.processes[spec.name] = Process(
            spec=spec,
            pid=self.host.pids,
            started_at="2026-01-01T00:00:00Z",
            state="running",
            stdout_path=f"{folder}/stdout",
            stderr_path=f"{folder}/stderr",
        )
        if spec.command[0] == "exit":
            self.host.end(spec.name, int(spec.command[1]))
        return self.host.processes[spec.name]

    async def destroy(self, name: str) -> None:
        """Stop and forget."""
        if await self.load(name) is None:
            return
        process = self.host.processes[name]
        if process.state == "running":
            self.host.signals.append((name, "TERM"))
            if process.spec.command[0] == "stubborn":
                await asyncio.sleep(process.spec.stop_grace_s)
                self.host.signals.append((name, "KILL"))
        if await self.load(name):
            self.host.end(name, 143)
            self._known.discard(name)
            del self.host.processes[name]

    async def load(self, name: str) -> Process | None:
        """Return one."""
        return self.host.processes.get(name) if name in self._known else None

    async def list(self) -> Sequence[Process]:
        """Return all."""
        return [self.host.processes[name] for name in sorted(self._known & set(self.host.processes))]

    async def recover(self) -> Sequence[Process]:
        """Take over all of the host."""
        self._known = set(self.host.processes)
        return await self.list()

    async def wait(self, name: str) -> int | None:
        """Wait for the end."""
        if name not in self._known:
            raise NotFound(f"no process named {name}")
        await self.host.ended[name].wait()
        return self.host.codes[name]


@dataclass(frozen=True)
class Commands:
    """How one runtime is told to do what the contract suite needs."""

    exits: tuple[str, ...]
    """Exits at once with 3."""
    sleeps: tuple[str, ...]
    """Runs until SIGTERM."""
    stubborn: tuple[str, ...]
    """Runs until SIGKILL."""
    missing: tuple[str, ...]
    """Cannot be run."""


FAKE_COMMANDS = Commands(("exit", "3"), ("sleep",), ("stubborn",), ("no-such-program",))
PROCESS_COMMANDS = Commands(
    ("sh", "-c", "exit 3"),
    ("sleep", "600"),
    ("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"),
    ("/no/such/program",),
)
BASE_ENV: Mapping[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
