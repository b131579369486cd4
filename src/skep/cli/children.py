"""The processes of `skep up`: the control plane and the agent, each started again when it dies, with growing delays.

Each is in a session of its own, so that Ctrl-C reaches only the parent, which stops them in order. What a killed parent left
running is taken over by the next one. Output goes to files that are kept short.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from skep.clock import Clock

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
REFUSED = 1
"""The exit status of a program that said why it cannot run."""
STEADY_S = 30.0
"""Whoever lived this long is started again at once."""
MAX_LOG_BYTES = 20 * 1024 * 1024
LOG_CHECK_S = 60.0


class ChildSpec(msgspec.Struct, frozen=True):
    """A program to keep running."""

    name: str
    command: tuple[str, ...]
    folder: Path
    """Where its process id and its output are kept."""
    stop_limit_s: float

    @property
    def log(self) -> Path:
        """Its output."""
        return self.folder / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """Its process id."""
        return self.folder / f"{self.name}.pid"


class Child:
    """One program, kept running until it is stopped."""

    def __init__(self, spec: ChildSpec, clock: Clock, say: Callable[[str], None]) -> None:
        self.spec = spec
        self.pid = 0
        self.deaths = 0
        self.was_ready = False
        self.refused = False
        """It said that it cannot start; nothing is to be gained by trying again."""
        self.adopted = False
        self._clock = clock
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def adopt(self) -> bool:
        """Take over the process that an earlier parent left; tell whether there is one."""
        pid = running_pid(self.spec)
        if pid:
            self.pid, self.adopted = pid, True
        return bool(pid)

    def start(self) -> None:
        """Start the program."""
        self.spec.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.spec.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._process.pid
        self.adopted = False
        with contextlib.suppress(OSError):  # a full disk must not stop the platform
            self.spec.pid_file.write_text(f"{self.pid}\n")

    async def keep(self) -> None:
        """Start it again whenever it ends, until it is stopped."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            status = await self.ended()
            if self._stopping:
                return
            self.deaths += 1
            if status == REFUSED and not self.was_ready:
                self.refused = True
                return
            failures = 0 if self._clock.monotonic() - began > STEADY_S else failures + 1
            delay = 0.0 if failures == 0 else BACKOFF_S[min(failures, len(BACKOFF_S)) - 1]
            self._say(f"the {self.spec.name} ended {status_text(status)} and is started again; see {self.spec.log}")
            await asyncio.sleep(delay)
            if self._stopping:
                return
            self.start()

    async def ended(self) -> int | None:
        """Wait until it ends; return its status, None for one that was taken over."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return self._reap()
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(descriptor, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._reap()

    def _reap(self) -> int | None:
        return None if self._process is None else self._process.wait()

    async def stop(self) -> bool:
        """End it gracefully, and by force after its limit; tell whether it ended by itself."""
        self._stopping = True
        graceful = True
        if self.pid and is_running(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            try:
                async with asyncio.timeout(self.spec.stop_limit_s):
                    await self.ended()
            except TimeoutError:
                graceful = False
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                await self.ended()
        self.spec.pid_file.unlink(missing_ok=True)
        return graceful

    async def keep_log_short(self) -> None:
        """Move the output aside when it is long; the program goes on writing to the same, now empty file."""
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            await asyncio.to_thread(shorten, self.spec.log, MAX_LOG_BYTES)


def shorten(log: Path, limit_bytes: int) -> None:
    """Keep one older part beside a log that has grown beyond the limit."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > limit_bytes:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def running_pid(spec: ChildSpec) -> int:
    """Return the process of this program that still runs, or 0; a process id used again by another does not count."""
    try:
        pid = int(spec.pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (OSError, ValueError):
        return 0
    return pid if is_running(pid) and spec.command[1:4] == tuple(command[1:4]) else 0


def is_running(pid: int) -> bool:
    """Tell whether a process lives; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def status_text(status: int | None) -> str:
    """Say how a process ended."""
    if status is None:
        return "unexpectedly"
    return f"by signal {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


def last_lines(log: Path, count: int) -> Sequence[str]:
    """Return the end of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return ()
