"""All Envoys of this host by name. In: which proxies should be there; out: `Envoy`s that are kept alive.

It decides nothing: sidecars and gateways say what they want. Stopping it leaves the processes to the next agent.
"""

import asyncio
from collections.abc import Callable

from skep.agent.envoy import Envoy, EnvoyHost
from skep.agent.epochs import ProxyRecord, proxy_name
from skep.agent.ports import Ports
from skep.errors import NotFound
from skep.model.node import Address, Node, SidecarNode
from skep.supervision import supervise


class Envoys:
    """The proxies of this host."""

    def __init__(self, host: EnvoyHost, ports: Ports) -> None:
        self._host = host
        self._ports = ports
        self._envoys: dict[str, Envoy] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._removing: dict[str, asyncio.Future[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def recover(self) -> None:
        """Read what an earlier agent left; `run` takes it over."""
        for name, record in self._host.records.load().items():
            self._envoys[name] = Envoy(self._host, record)
            self._hold(record)

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Keep every proxy alive until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name, envoy in self._envoys.items():
                self._tasks[name] = group.create_task(self._keep(envoy))
            started()
            await asyncio.get_running_loop().create_future()

    async def ensure(self, node: Node) -> Envoy:
        """Return the proxy of a node, started when there is none; one that was there keeps its ports."""
        name = proxy_name(node)
        while (removing := self._removing.get(name)) is not None:
            await asyncio.wait([removing])
        envoy = self._envoys.get(name)
        if envoy is None:
            assert self._group is not None, "run() comes first"
            envoy = Envoy(self._host, ProxyRecord(name, node, self._ports.pick()))
            self._envoys[name] = envoy
            self._tasks[name] = self._group.create_task(self._keep(envoy))
        return envoy

    async def _keep(self, envoy: Envoy) -> None:
        await supervise(f"Envoy {envoy.record.name}", envoy.run, self._host.clock)

    async def remove(self, name: str) -> None:
        """Stop a proxy and give its ports back; nothing when unknown."""
        envoy, task = self._envoys.pop(name, None), self._tasks.pop(name, None)
        if envoy is None:
            return
        done = self._removing[name] = asyncio.get_running_loop().create_future()
        try:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
            await envoy.destroy()
            for address in _addresses(envoy.record):
                self._ports.release(address)
        finally:
            del self._removing[name]
            done.set_result(None)

    def get(self, name: str) -> Envoy:
        """Return a proxy by name; `NotFound` when there is none."""
        envoy = self._envoys.get(name)
        if envoy is None:
            raise NotFound(f"no Envoy named {name} runs on this host")
        return envoy

    def list(self) -> list[Envoy]:
        """Return all proxies, sorted by name."""
        return [self._envoys[name] for name in sorted(self._envoys)]

    async def restart(self, name: str) -> None:
        """Hot-restart one proxy."""
        await self.get(name).restart()

    async def destroy_all(self) -> None:
        """Stop every proxy."""
        async with asyncio.TaskGroup() as group:
            for name in list(self._envoys):
                group.create_task(self.remove(name))

    def _hold(self, record: ProxyRecord) -> None:
        for address in _addresses(record):
            self._ports.hold(address)


def _addresses(record: ProxyRecord) -> tuple[Address, ...]:
    node = record.node
    if isinstance(node, SidecarNode):
        return (record.admin, node.outbound, *(inbound.listen for inbound in node.inbound))
    return (record.admin,)
