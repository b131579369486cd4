"""What a test of replicas needs around them: sidecars and a control plane in memory, documents, a whole agent's pods."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Self

from bench.ports import free_port as free_port
from skep.agent.pods import Pods, records_in
from skep.agent.ports import Ports
from skep.agent.probes import Prober
from skep.agent.replica import Surroundings
from skep.agent.sidecars import Sidecar, SidecarRequest
from skep.clock import SystemClock
from skep.errors import NotFound, Unavailable
from skep.model.instance import Health, InstanceKey
from skep.model.node import Address
from skep.watch import Cell
from skep.workloads.environment import SourceRef
from skep.workloads.runtimes.process import ProcessRuntime
from tests.support.runtimes import BASE_ENV

Document = dict[str, Any]
APP = Path(__file__).with_name("switchable_app.py")
NODE = "here"


async def until(condition: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    """Poll until a condition holds."""
    try:
        async with asyncio.timeout(limit_s):
            while not condition():  # noqa: ASYNC110  conditions of all sorts, with a deadline
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {limit_s} s: {what}") from None


class FakeSidecars:
    """Sidecars without Envoys; remembers what was said, in order."""

    def __init__(self) -> None:
        self.attached: dict[InstanceKey, tuple[SidecarRequest, Sidecar]] = {}
        self.health: dict[InstanceKey, Health] = {}
        self.story: list[str] = []
        self.failures = 0

    async def attach(self, request: SidecarRequest) -> Sidecar:
        if self.failures:
            self.failures -= 1
            raise Unavailable("no control plane")
        outbound = request.outbound or Address("127.0.0.1", 40_000 + len(self.attached))
        sidecar = Sidecar(request.key, outbound, Address("127.0.0.1", 1), Address("127.0.0.1", 2))
        self.attached[request.key] = (request, sidecar)
        self.health.setdefault(request.key, request.initial_health)
        self.story.append("attach")
        return sidecar

    async def detach(self, key: InstanceKey) -> None:
        if self.attached.pop(key, None):
            self.health.pop(key)
            self.story.append("detach")

    async def set_health(self, key: InstanceKey, health: Health) -> None:
        if key not in self.attached:
            raise NotFound("no such instance")
        if self.health[key] != health:
            self.health[key] = health
            self.story.append(health.value)

    async def settle(self, key: InstanceKey, limit_s: float = 2.0) -> bool:
        self.story.append("settled")
        return True

    def list(self) -> Sequence[Sidecar]:
        return [sidecar for _, sidecar in self.attached.values()]


class FakeSource:
    """A control plane in memory."""

    def __init__(self, pods: Sequence[Document] = ()) -> None:
        self.pods: Cell[Sequence[Document]] = Cell(pods)
        self.configuration: dict[tuple[str, str, str], Document] = {}
        self.statuses: dict[str, Document] = {}
        self.history: list[tuple[str, Document]] = []
        self.events: list[str] = []
        self.away = False

    def follow(self) -> AsyncIterator[Sequence[Document]]:
        return self.pods.subscribe()

    async def read(self, namespace: str, ref: SourceRef) -> Document | None:
        self._reach()
        return self.configuration.get((ref.resource, namespace, ref.name))

    async def report(self, namespace: str, name: str, status: Document) -> None:
        self._reach()
        self.statuses[name] = status
        self.history.append((name, status))

    async def record(self, event: Document) -> None:
        self._reach()
        self.events.append(f"{event['reason']}: {event['message']}")

    def _reach(self) -> None:
        if self.away:
            raise Unavailable("the control plane is away")

    def container(self, pod: str) -> Document:
        status = self.statuses.get(pod) or {"containerStatuses": [{"state": {}, "ready": False, "restartCount": 0}]}
        found: Document = status["containerStatuses"][0]
        return found

    def is_ready(self, pod: str) -> bool:
        return bool(self.container(pod)["ready"])


class Agent:
    """The pods' half of an agent, with real processes."""

    def __init__(self, folder: Path, source: FakeSource) -> None:
        self.source = source
        self.sidecars = FakeSidecars()
        self.runtime = ProcessRuntime(folder / "processes")
        self.prober = Prober()
        around = Surroundings(
            runtime=self.runtime,
            sidecars=self.sidecars,
            prober=self.prober,
            clock=SystemClock(),
            read=source.read,
            output=folder / "output",
            base_env=BASE_ENV,
            directory=folder,
        )
        self.pods = Pods(source, around, records_in(folder / "pods"), Ports())
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        await self.runtime.recover()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.runtime.run())
            group.create_task(self.pods.run())

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run())  # noqa: TID251  awaited in __aexit__
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        try:
            if not self._task.done():
                async with asyncio.timeout(60):
                    await self.pods.shutdown()
        finally:
            for process in await self.runtime.list():
                await self.runtime.destroy(process.spec.name)
            self._task.cancel()
            await asyncio.wait([self._task])
            await self.prober.close()
        if not self._task.cancelled() and self._task.exception():
            raise AssertionError("the agent crashed") from self._task.exception()

    async def pids(self) -> dict[str, int]:
        """Pids by pod."""
        return {one.spec.labels["pod"]: one.pid for one in await self.runtime.list() if one.state == "running"}


def pod_document(name: str, switches: Path, **container: Any) -> Document:
    """A pod that runs the switchable app; `grace` seconds to stop."""
    grace = container.pop("grace", 5)
    env = [{"name": "SWITCHES", "value": str(switches)}, *container.pop("env", [])]
    container = {"name": "web", "image": "web:1", "command": [sys.executable, str(APP)], "env": env, **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "labels": {"app": "web"},
            "ownerReferences": [{"kind": "Deployment", "name": "web", "uid": "d", "controller": True}],
        },
        "spec": {"nodeName": NODE, "terminationGracePeriodSeconds": grace, "containers": [container]},
        "status": {"phase": "Pending"},
    }
