"""The life of one replica on this host: its sidecar, its process, its probes, its restarts, its end.

In: a pod and what the host offers; out: a view of how it is, and the health its callers learn. Takes over what an earlier
agent left without touching it. Never talks to the control plane but to read ConfigMaps and Secrets.
"""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from skep.agent.backoff import Backoff
from skep.agent.probes import LOOPBACK, Answer, Prober, Target
from skep.agent.sidecars import Sidecar, SidecarRequest
from skep.agent.vitals import Vitals
from skep.clock import Clock, rfc3339
from skep.errors import Conflict, Invalid, NotFound, SkepError, Unavailable
from skep.model.instance import Health, InstanceKey
from skep.model.names import SERVICE_LABEL, InstanceId, Namespace, ServiceName
from skep.model.node import Address
from skep.workloads.documents import owner_of
from skep.workloads.environment import Identity, SourceRef, build_env, command_line, sources_of
from skep.workloads.podstatus import Ended, ReplicaView
from skep.workloads.runtime import Process, ProcessSpec, Runtime
from skep.workloads.spec import Pod
from skep.workloads.template import Container

log = logging.getLogger(__name__)

CRASH_FIRST_S, CRASH_MOST_S, CRASH_FORGIVEN_S = 10.0, 300.0, 600.0
RETRY_FIRST_S, RETRY_MOST_S = 1.0, 10.0
LEARN_S = 0.5
"""How long callers' proxies get to learn that a replica drains, once the registry knows."""


class SidecarSet(Protocol):
    """What a replica needs of `Sidecars`."""

    async def attach(self, request: SidecarRequest) -> Sidecar: ...
    async def detach(self, key: InstanceKey) -> None: ...
    async def set_health(self, key: InstanceKey, health: Health) -> None: ...
    async def settle(self, key: InstanceKey, limit_s: float = 2.0) -> bool: ...
    def list(self) -> Sequence[Sidecar]: ...


class SavedReplica(msgspec.Struct, frozen=True, kw_only=True):
    """What survives the agent's death."""

    document: dict[str, Any]
    port: int
    run: int = 0
    """Which run of the program this is; part of the process's name and of its output's path."""
    env: dict[str, str] | None = None
    """The environment last computed, for restarts while the control plane is away."""
    outbound: Address | None = None
    view: ReplicaView = ReplicaView()


@dataclass(frozen=True)
class Surroundings:
    """What the host offers its replicas."""

    runtime: Runtime
    sidecars: SidecarSet
    prober: Prober
    clock: Clock
    read: Callable[[str, SourceRef], Awaitable[dict[str, Any] | None]]
    """Returns a ConfigMap or Secret of a namespace, None when it does not exist."""
    output: Path
    """Where the output of all replicas is kept."""
    base_env: Mapping[str, str]
    directory: Path
    zone: str = ""


class Replica:
    """One pod on this host."""

    def __init__(
        self,
        around: Surroundings,
        saved: SavedReplica,
        changed: Callable[["Replica"], None],
        tell: Callable[["Replica", str, str, bool], None],
    ) -> None:
        self.saved = saved
        self.body = Pod.model_validate({"spec": saved.document["spec"]})
        self.stopping = asyncio.Event()
        self.ended = asyncio.Event()
        self._around = around
        self._changed = changed
        self._tell = tell
        self._backoff = Backoff(CRASH_FIRST_S, CRASH_MOST_S, CRASH_FORGIVEN_S)
        self._killed = ""
        metadata = saved.document["metadata"]
        self.uid: str = metadata["uid"]
        self.namespace: str = metadata["namespace"]
        self.name: str = metadata["name"]
        self.labels: Mapping[str, str] = metadata.get("labels") or {}
        service = self.labels.get(SERVICE_LABEL) or owner_of(saved.document).get("name") or self.name
        self.key = InstanceKey(Namespace(self.namespace), ServiceName(service), InstanceId(self.name))

    @property
    def container(self) -> Container:
        """The program to run."""
        return self.body.spec.containers[0]

    @property
    def process_name(self) -> str:
        """The name of its present run at the runtime."""
        return f"pod.{self.namespace}.{self.name}.{self.saved.run}"

    async def run(self) -> None:
        """Keep it running until `stopping` is set, then end it; may be called again after a crash."""
        if not self.stopping.is_set():
            async with asyncio.TaskGroup() as group:
                life = group.create_task(self._live())
                await self.stopping.wait()
                life.cancel()
        await self._end()
        self.ended.set()

    # -- its life ----------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        sidecar = await self._attach()
        process = await self._around.runtime.load(self.process_name)
        if process is None:
            await self._set_health(Health.STARTING)  # the sidecar may be older than we are
        while True:
            if process is None:
                process = await self._start(sidecar)
            await self._accompany(process)
            await self._pause_after(process)
            process = None

    async def _attach(self) -> Sidecar:
        application = Address(LOOPBACK, self.saved.port)
        request = SidecarRequest(
            key=self.key,
            application=application,
            protocol=_protocol(self.container),
            labels=self.labels,
            zone=self._around.zone,
            outbound=self.saved.outbound,
        )
        pause = Backoff(RETRY_FIRST_S, RETRY_MOST_S)
        while True:
            # One that an earlier agent attached is taken as it is, so that it needs no control plane.
            sidecar = next((one for one in self._around.sidecars.list() if one.key == self.key), None)
            if sidecar is None:
                try:
                    sidecar = await self._around.sidecars.attach(request)
                except SkepError as error:
                    self._show(state="waiting", reason="SidecarNotReady", message=error.message)
                    await asyncio.sleep(max(0.2, pause.wait_s(0.0)))
                    continue
            if sidecar.outbound != self.saved.outbound:
                self._keep(outbound=sidecar.outbound)
            return sidecar

    async def _start(self, sidecar: Sidecar) -> Process:
        pause = Backoff(RETRY_FIRST_S, RETRY_MOST_S)
        while True:
            reason = "CreateContainerConfigError"
            try:
                env = await self._environment(sidecar)
                reason = "RunContainerError"
                process = await self._create(env)
            except Conflict:  # a start that was cut short
                await self._around.runtime.destroy(self.process_name)
                continue
            except SkepError as error:
                if self.saved.view.message != error.message:
                    self._tell(self, "Failed", error.message, True)
                self._show(state="waiting", reason=reason, message=error.message)
                await asyncio.sleep(max(0.5, pause.wait_s(0.0)))
                continue
            self._killed = ""
            self._show(
                state="running", reason="", message="", pid=process.pid, started_at=process.started_at,
                ever_ran=True, started=False, ready=False,
            )  # fmt: skip
            self._tell(self, "Started", f"Started container {self.container.name}", False)
            return process

    async def _create(self, env: Mapping[str, str]) -> Process:
        command = command_line(self.container, env) if self.container.command else ()
        if not command:
            raise Invalid("an image alone cannot be run as a local process: set `command`")
        spec = ProcessSpec(
            name=self.process_name,
            command=command,
            env=env,
            directory=str(self._directory()),
            labels={"pod": self.name, "namespace": self.namespace, "uid": self.uid},
            stop_grace_s=float(self.body.spec.termination_grace_period_seconds),
            output=str(output_folder(self._around.output, self.namespace, self.name, self.saved.run)),
        )
        return await self._around.runtime.create(spec)

    def _directory(self) -> Path:
        return self._around.directory / (self.container.working_dir or "")

    async def _environment(self, sidecar: Sidecar) -> dict[str, str]:
        proxy = f"http://{sidecar.outbound}"
        fixed = {
            "PORT": str(self.saved.port),
            "http_proxy": proxy,
            "HTTP_PROXY": proxy,
            "no_proxy": "localhost,127.0.0.1",
            "NO_PROXY": "localhost,127.0.0.1",
        }
        metadata = self.saved.document["metadata"]
        identity = Identity(
            name=self.name,
            namespace=self.namespace,
            uid=self.uid,
            node=self.body.spec.node_name,
            labels=self.labels,
            annotations=metadata.get("annotations") or {},
        )
        try:
            sources = {
                (ref.resource, ref.name): await self._around.read(self.namespace, ref)
                for ref in sources_of(self.container)
            }
        except Unavailable:
            if self.saved.env is None:
                raise
            return {**self.saved.env, **fixed}
        env = {**self._around.base_env, **build_env(self.container, sources, identity, fixed)}
        if env != self.saved.env:
            self._keep(env=env)
        return env

    async def _accompany(self, process: Process) -> None:
        """Probe a run until it ends, and note how it ended."""
        code = process.exit_code
        if process.state == "running":
            async with asyncio.TaskGroup() as group:
                probing = group.create_task(self._probe(process))
                with contextlib.suppress(NotFound):
                    code = await self._around.runtime.wait(self.process_name)
                probing.cancel()
        end = Ended(
            exit_code=code,
            reason="Completed" if code == 0 else "Error",
            started_at=process.started_at,
            finished_at=rfc3339(self._around.clock.now()),
            message=self._killed or ("it ended while no agent ran" if code is None else ""),
        )
        self._show(state="terminated", pid=0, ready=False, started=False, last_end=end)
        await self._set_health(Health.FAILING)

    async def _pause_after(self, process: Process) -> None:
        """Clean up after a run and wait before the next."""
        await self._around.runtime.destroy(self.process_name)
        forget = output_folder(self._around.output, self.namespace, self.name, self.saved.run - 1)
        await asyncio.to_thread(shutil.rmtree, forget, ignore_errors=True)
        ran_s = self._elapsed_s(process)
        self._keep(run=self.saved.run + 1)
        self._show(restarts=self.saved.view.restarts + 1)
        wait_s = self._backoff.wait_s(ran_s)
        if wait_s > 0:
            message = f"back-off {wait_s:.0f}s restarting failed container={self.container.name} pod={self.name}"
            self._show(state="waiting", reason="CrashLoopBackOff", message=message)
            self._tell(self, "BackOff", message, True)
            await asyncio.sleep(wait_s)

    async def _end(self) -> None:
        """Let callers learn, stop the program, stop the sidecar, forget."""
        if await self._set_health(Health.DRAINING):
            await self._around.sidecars.settle(self.key)
            await asyncio.sleep(LEARN_S)
        await self._around.runtime.destroy(self.process_name)
        await self._around.sidecars.detach(self.key)
        folder = output_folder(self._around.output, self.namespace, self.name, 0).parent
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    # -- what its probes find: it is the `Patient` of `Vitals` -----------------------------------------------------------

    async def _probe(self, process: Process) -> None:
        target = Target(
            container=self.container,
            port=self.saved.port,
            env=process.spec.env,
            directory=process.spec.directory,
        )
        await Vitals(target, self, self._around.prober, self._around.clock).watch(self._elapsed_s(process))

    def is_started(self) -> bool:
        """Tell whether the present run has passed its startup probe."""
        return self.saved.view.started

    def is_ready(self) -> bool:
        """Tell whether the present run is ready."""
        return self.saved.view.ready

    def started(self) -> None:
        """Note that the present run has started."""
        self._show(started=True)

    async def become_ready(self, ready: bool, answer: Answer) -> None:
        """Let callers come, or keep them away."""
        if not ready and self.saved.view.ready:
            self._tell(self, "Unhealthy", f"Readiness probe failed: {answer.message}", True)
        await self._set_ready(ready)

    async def be_killed(self, kind: str, answer: Answer) -> None:
        """End the present run."""
        self._killed = f"{kind} probe failed: {answer.message}"
        self._tell(self, "Unhealthy", f"{kind.capitalize()} probe failed: {answer.message}", True)
        self._tell(self, "Killing", f"Container {self.container.name} failed {kind} probe, will be restarted", False)
        self._show(ready=False)
        await self._set_health(Health.FAILING)
        await self._around.runtime.destroy(self.process_name)

    # -- what others learn -------------------------------------------------------------------------------------------

    async def _set_ready(self, ready: bool) -> None:
        await self._set_health(Health.PASSING if ready else Health.FAILING)
        if ready:
            # Callers may use it before its Deployment counts on it, and takes another away.
            await self._around.sidecars.settle(self.key)
        self._show(ready=ready)

    async def _set_health(self, health: Health) -> bool:
        try:
            await self._around.sidecars.set_health(self.key, health)
        except NotFound:
            return False
        return True

    def _elapsed_s(self, process: Process) -> float:
        started = datetime.fromisoformat(process.started_at)
        return max(0.0, (self._around.clock.now() - started).total_seconds())

    def _keep(self, **changes: Any) -> None:
        self.saved = msgspec.structs.replace(self.saved, **changes)
        self._changed(self)

    def _show(self, **changes: Any) -> None:
        view = msgspec.structs.replace(self.saved.view, **changes)
        if view != self.saved.view:
            self._keep(view=view)


def output_folder(root: Path, namespace: str, pod: str, run: int) -> Path:
    """Return where one run's stdout and stderr are kept."""
    return root / namespace / pod / str(run)


def _protocol(container: Container) -> str:
    """Read the protocol off the first port's name: `grpc`, `grpc-api`, `http2`, `tcp-db`."""
    word = container.ports[0].name.partition("-")[0] if container.ports else ""
    return word if word in ("http2", "grpc", "tcp") else "http"
