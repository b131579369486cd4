"""Runs processes straight on this host, so that they survive the agent and the next agent finds them again.

Each process has a directory with its state (pid, start time, boot) and, unless told otherwise, its output files.
Exits are learned through pidfds, for children and adopted ones alike. Must never block the loop nor leave a zombie.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from skep.clock import Clock, SystemClock, rfc3339
from skep.errors import Conflict, Invalid, NotFound, Unavailable
from skep.workloads.runtime import Process, ProcessSpec
from skep.workloads.runtimes.process_host import (
    State,
    exit_code_of,
    folder_name,
    is_present,
    kill_group,
    load_states,
    remove_tree,
    rotate,
    save_state,
    spawn,
)

KILL_LIMIT_S = 10.0
"""How long a process may take to vanish after SIGKILL; longer means it hangs in the kernel."""
ROTATE_EVERY_S = 0.5


class _Tracked:
    """A process this runtime knows: its latest state, and who waits for its end."""

    def __init__(self, state: State, folder: Path) -> None:
        self.state = state
        self.folder = folder
        self.pidfd = -1
        self.exited = asyncio.Event()
        self.forgotten = False

    def process(self) -> Process:
        state = self.state
        output = Path(state.spec.output or self.folder)
        return Process(
            spec=state.spec,
            pid=state.pid,
            started_at=state.started_at,
            state="exited" if state.exited else "running",
            exit_code=state.exit_code,
            stdout_path=str(output / "stdout"),
            stderr_path=str(output / "stderr"),
        )


class ProcessRuntime:
    """A `Runtime` of plain processes, kept under one folder."""

    def __init__(self, folder: Path, clock: Clock | None = None, *, output_limit_bytes: int = 10 * 2**20) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self._limit_bytes = output_limit_bytes
        self._tracked: dict[str, _Tracked] = {}
        self._starting: set[str] = set()
        self._unsaved = asyncio.Event()

    async def create(self, spec: ProcessSpec) -> Process:
        """Start a process; its name must be free."""
        if not spec.command:
            raise Invalid(f"{spec.name}: no command to run")
        if spec.name in self._tracked or spec.name in self._starting:
            raise Conflict(f"a process named {spec.name} exists already")
        folder = self._folder / folder_name(spec.name)
        started_at = rfc3339(self._clock.now())
        self._starting.add(spec.name)
        started = asyncio.get_running_loop().run_in_executor(None, spawn, spec, folder, started_at)

        def keep(done: "asyncio.Future[State]") -> None:
            # Runs even when our caller was cancelled meanwhile: a started process is never lost.
            self._starting.discard(spec.name)
            if not done.cancelled() and done.exception() is None:
                self._track(done.result(), folder)

        started.add_done_callback(keep)
        await asyncio.shield(started)
        return self._tracked[spec.name].process()

    async def destroy(self, name: str) -> None:
        """Stop a process and forget it."""
        tracked = self._tracked.get(name)
        if tracked is None:
            return
        await self._stop(tracked)
        if tracked.forgotten:
            return  # somebody else destroyed it while we waited
        tracked.forgotten = True
        del self._tracked[name]
        self._starting.add(name)  # the name stays taken until its folder is gone
        try:
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, remove_tree, tracked.folder))
        finally:
            self._starting.discard(name)

    async def load(self, name: str) -> Process | None:
        """Return one process, or None."""
        tracked = self._tracked.get(name)
        return tracked.process() if tracked else None

    async def list(self) -> Sequence[Process]:
        """Return all processes by name."""
        return [self._tracked[name].process() for name in sorted(self._tracked)]

    async def recover(self) -> Sequence[Process]:
        """Adopt what is on disk and not known yet."""
        known = frozenset(self._tracked) | self._starting
        for folder, state in await asyncio.to_thread(load_states, self._folder, known):
            if state.spec.name not in self._tracked and state.spec.name not in self._starting:
                self._track(state, folder)
        return await self.list()

    async def wait(self, name: str) -> int | None:
        """Wait for the exit and return its code."""
        tracked = self._tracked.get(name)
        if tracked is None:
            raise NotFound(f"no process named {name}")
        await tracked.exited.wait()
        return tracked.state.exit_code

    async def run(self) -> None:
        """Keep output files below their limit and remember exit codes, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROTATE_EVERY_S):
                    await self._unsaved.wait()
            self._unsaved.clear()
            tracked = tuple(self._tracked.values())
            await asyncio.to_thread(self._housekeep, tracked)

    def _housekeep(self, tracked: Sequence[_Tracked]) -> None:
        for one in tracked:
            process = one.process()
            if one.forgotten:
                continue
            for path in (process.stdout_path, process.stderr_path):
                rotate(Path(path), self._limit_bytes)
            if process.state == "exited":
                save_state(one.folder, one.state)

    def _track(self, state: State, folder: Path) -> None:
        tracked = _Tracked(state, folder)
        self._tracked[state.spec.name] = tracked
        if state.exited:
            tracked.exited.set()
            return
        try:
            tracked.pidfd = os.pidfd_open(state.pid)
        except OSError:
            self._finish(tracked, None)
            return
        if not is_present(state):  # the pidfd is of a newcomer with the same pid
            os.close(tracked.pidfd)
            tracked.pidfd = -1
            self._finish(tracked, None)
            return
        asyncio.get_running_loop().add_reader(tracked.pidfd, self._gone, tracked)

    def _gone(self, tracked: _Tracked) -> None:
        """The process ended: end its children too, reap it, tell who waits."""
        if tracked.pidfd < 0:
            return
        asyncio.get_running_loop().remove_reader(tracked.pidfd)
        kill_group(tracked.state.pid, signal.SIGKILL)  # before reaping, while nobody else can have the number
        code = exit_code_of(tracked.pidfd)
        os.close(tracked.pidfd)
        tracked.pidfd = -1
        self._finish(tracked, code)

    def _finish(self, tracked: _Tracked, code: int | None) -> None:
        tracked.state = msgspec.structs.replace(tracked.state, exited=True, exit_code=code)
        tracked.exited.set()
        self._unsaved.set()

    async def _stop(self, tracked: _Tracked) -> None:
        for number, limit_s in ((signal.SIGTERM, tracked.state.spec.stop_grace_s), (signal.SIGKILL, KILL_LIMIT_S)):
            if tracked.exited.is_set():
                return
            kill_group(tracked.state.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await tracked.exited.wait()
        if not tracked.exited.is_set():
            raise Unavailable(f"process {tracked.state.spec.name} (pid {tracked.state.pid}) does not die")
