"""The agent of a host: wires its parts and runs them in one task group. In: settings and where the control plane is.

On SIGTERM and SIGINT it deregisters its instances and stops everything it started; when it is killed, all of that lives on
and the next agent of the same data directory takes it over. Only one agent runs for a data directory.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from skep.agent import epochs
from skep.agent.admin import Admin
from skep.agent.envoy import PROXY_LABEL, EnvoyHost
from skep.agent.envoys import Envoys
from skep.agent.epochs import ProxyRecord
from skep.agent.gateways import Gateways
from skep.agent.leases import Leases
from skep.agent.pods import Pods, records_in
from skep.agent.podsource import ApiPodSource
from skep.agent.ports import LOOPBACK, Ports
from skep.agent.probes import Prober
from skep.agent.registration import HttpRegistry, agent_instance
from skep.agent.replica import Surroundings
from skep.agent.server import AgentParts, AgentServer
from skep.agent.sidecars import Attachment, Sidecars
from skep.agent.state import StateFolder
from skep.agent.traffic import TrafficMeter
from skep.clients.agent import socket_path
from skep.clients.api import ApiClient, RegistryClient
from skep.clock import Clock, SystemClock
from skep.errors import Conflict, Unavailable
from skep.model.node import Address
from skep.settings import Settings
from skep.supervision import supervise
from skep.workloads.runtimes.process import ProcessRuntime
from skep.xds.bootstrap import bootstrap

log = logging.getLogger(__name__)


class ControlPlane(msgspec.Struct, frozen=True):
    """Where the control plane is, and what opens it."""

    server_url: str
    xds: Address
    token: str

    def __repr__(self) -> str:
        """Never show the token."""
        return f"ControlPlane({self.server_url!r}, {self.xds})"


async def run_agent(settings: Settings, server_url: str, xds: Address, token: str, *, leave: bool = False) -> None:
    """Run this host's agent until SIGTERM or SIGINT. `leave` keeps what it started running at the end.

    `Conflict` when another agent runs for the same data directory.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every question to every Envoy
    folder = settings.data_dir / "agent"
    with _only_agent(folder):
        agent = Agent(folder, ControlPlane(server_url, xds, token), agent_name(settings.agent_name), settings.zone)
        await agent.run(socket_path(settings.data_dir), leave=leave)


class Agent:
    """The parts of one agent."""

    def __init__(self, folder: Path, control: ControlPlane, name: str, zone: str) -> None:
        self.clock: Clock = SystemClock()
        self.runtime = ProcessRuntime(folder / "processes", self.clock)
        self.admin = Admin()
        self.ports = Ports()
        self.api = ApiClient(control.server_url, control.token)
        self.envoys = Envoys(_envoy_host(folder, control, self.runtime, self.admin, self.clock), self.ports)
        self.leases = Leases(HttpRegistry(RegistryClient(self.api), name), self.clock)
        self.sidecars = Sidecars(self.envoys, self.leases, self.ports, StateFolder(folder / "sidecars", Attachment))
        self.gateways = Gateways(self.envoys, self.api)
        self.prober = Prober()
        self.pods = self._pods(folder, name, zone)
        traffic = TrafficMeter(self.envoys, self.admin, self.clock, self.sidecars.health_of)
        self.server = AgentServer(
            AgentParts(self.envoys, self.sidecars, self.ports, traffic, self.runtime, self.pods, zone)
        )
        self.leases.keep(agent_instance(name, LOOPBACK, zone))

    def _pods(self, folder: Path, name: str, zone: str) -> Pods:
        source = ApiPodSource(self.api, name)
        around = Surroundings(
            runtime=self.runtime,
            sidecars=self.sidecars,
            prober=self.prober,
            clock=self.clock,
            read=source.read,
            output=folder / "output",
            base_env=dict(os.environ),  # noqa: TID251  replicas are the user's programs: they start in the user's environment
            directory=Path.cwd(),
            zone=zone,
        )
        return Pods(source, around, records_in(folder / "pods"), self.ports)

    async def run(self, path: Path, *, leave: bool) -> None:
        """Recover what an earlier agent left, run until told to stop, then stop everything."""
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await self.runtime.recover()
        self.envoys.recover()
        await self._end_strays()
        try:
            async with asyncio.TaskGroup() as group:
                started = asyncio.Event()
                keepers = [
                    group.create_task(self._supervise("runtime", self.runtime.run)),
                    group.create_task(self.envoys.run(started.set)),
                    group.create_task(self._supervise("leases", self.leases.run)),
                ]
                await started.wait()
                await self.sidecars.recover()
                callers = [
                    group.create_task(self._supervise("gateways", self.gateways.run)),
                    group.create_task(self.server.run(path)),
                ]
                pods = group.create_task(self.pods.run())
                await stopping.wait()
                await _cancel(callers)
                if not leave:
                    await self._stop_everything()
                await _cancel([pods, *keepers])
        finally:
            self.ports.close()
            await self.prober.close()
            await self.admin.close()
            await self.api.close()

    async def _supervise(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        await supervise(f"agent {name}", run, self.clock)

    async def _end_strays(self) -> None:
        """End Envoys that no record names: they would hold ports that others are given."""
        known = {process for envoy in self.envoys.list() for process in epochs.processes(envoy.record)}
        for process in await self.runtime.list():
            if PROXY_LABEL in process.spec.labels and process.spec.name not in known:
                log.warning("%s: no record of it, ended", process.spec.name)
                await self.runtime.destroy(process.spec.name)

    async def _stop_everything(self) -> None:
        """Stop the replicas gracefully, then what is in front of them; nobody is called any more by then."""
        await self.pods.shutdown()
        await self.leases.release([instance.key for instance in self.leases.list()])
        await self.sidecars.detach_all()
        await self.envoys.destroy_all()
        async with asyncio.TaskGroup() as group:
            for process in await self.runtime.list():
                group.create_task(self.runtime.destroy(process.spec.name))


async def _cancel(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _envoy_host(folder: Path, control: ControlPlane, runtime: ProcessRuntime, admin: Admin, clock: Clock) -> EnvoyHost:
    scratch = folder / "envoy"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    records = StateFolder(folder / "proxies", ProxyRecord)
    return EnvoyHost(
        runtime=runtime,
        admin=admin,
        clock=clock,
        records=records,
        folder=scratch,
        render=lambda node, address: bootstrap(node, control.xds, control.token, address),
    )


def agent_name(wanted: str) -> str:
    """Return the agent's name: the one that was set, else the host's, made to fit."""
    name = wanted or socket.gethostname().partition(".")[0]
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:63].strip("-") or "agent"


@contextlib.contextmanager
def _only_agent(folder: Path) -> Iterator[None]:
    """Hold the lock of a data directory; the kernel releases it when the process dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"{folder}: the agent's folder cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 20, 0).decode().strip()
            raise Conflict(
                f"an agent runs already for {folder.parent} (pid {pid}); stop it, or choose another --data-dir"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
