"""Sidecars: an Envoy beside each instance of this host, and its registration. In: requests; out: addresses to call.

Order matters: an instance is registered after its Envoy has configuration and listens, and deregistered before its Envoy stops.
What is attached survives the agent's death: a later agent finds the Envoys running and keeps the leases.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from skep.agent.envoys import Envoys
from skep.agent.epochs import proxy_name
from skep.agent.leases import Leases
from skep.agent.ports import Ports
from skep.agent.state import StateFolder
from skep.errors import NotFound, SkepError, Unavailable
from skep.model.instance import Health, Instance, InstanceKey
from skep.model.names import SERVICE_LABEL
from skep.model.node import Address, Inbound, SidecarNode

log = logging.getLogger(__name__)

LINGER_S = 0.3
"""How long a deregistered instance's Envoy stays, so that callers learn before it stops listening."""


class SidecarRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that wants a sidecar."""

    key: InstanceKey
    application: Address
    """Where the application listens."""
    protocol: str = "http"
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    weight: int = 100
    zone: str = ""
    lease_s: float = 15.0
    initial_health: Health = Health.STARTING
    owner: Literal["pod", "session"] = "pod"
    """Who asks for it again after the agent was restarted, and detaches it."""
    outbound: Address | None = None
    """The address it had before, asked for again; None for any."""


class Sidecar(msgspec.Struct, frozen=True):
    """An attached sidecar."""

    key: InstanceKey
    outbound: Address
    """Where the application sends its calls: its `http_proxy`."""
    inbound: Address
    """Where callers reach it: what the registry says."""
    admin: Address


class Attachment(msgspec.Struct, frozen=True):
    """What is remembered of an attached sidecar."""

    request: SidecarRequest
    node: SidecarNode
    health: Health


class Sidecars:
    """The sidecars of this host."""

    def __init__(self, envoys: Envoys, leases: Leases, ports: Ports, records: StateFolder[Attachment]) -> None:
        self._envoys = envoys
        self._leases = leases
        self._ports = ports
        self._records = records
        self._attached: dict[InstanceKey, Attachment] = {}
        self._locks: dict[InstanceKey, asyncio.Lock] = {}

    async def recover(self) -> None:
        """Take over what an earlier agent attached. `Envoys.recover` comes first, `Envoys.run` runs."""
        for name, attachment in self._records.load().items():
            try:
                self._envoys.get(name)
            except NotFound:
                self._records.remove(name)
                continue
            self._attached[attachment.request.key] = attachment
            self._leases.keep(_instance(attachment))
        for envoy in self._envoys.list():
            node = envoy.record.node
            if isinstance(node, SidecarNode) and key_of(node) not in self._attached:
                await self._envoys.remove(envoy.record.name)  # its attaching was never finished

    async def attach(self, request: SidecarRequest) -> Sidecar:
        """Start the sidecar, wait for its configuration, register the instance; on failure nothing is left.

        What is attached already is kept when it has the same application address, so that asking again is harmless.
        """
        async with self._lock(request.key):
            attachment = self._attached.get(request.key)
            if attachment is not None and _serves(attachment.node, request):
                return await self._attach_again(msgspec.structs.replace(attachment, request=request))
            if attachment is not None:
                await self._detach(request.key)
            attachment = Attachment(request, self._new_node(request), request.initial_health)
            try:
                envoy = await self._envoys.ensure(attachment.node)
                await envoy.wait_ready()
                self._remember(attachment)
                await self._leases.hold(_instance(attachment))
            except (SkepError, asyncio.CancelledError):
                await self._detach(request.key, attachment.node)
                raise
            return _sidecar(attachment, envoy.record.admin)

    async def _attach_again(self, attachment: Attachment) -> Sidecar:
        """Take what is there as it is, so that nothing is lost while the control plane is away."""
        envoy = await self._envoys.ensure(attachment.node)
        self._remember(attachment)
        self._leases.keep(_instance(attachment))
        return _sidecar(attachment, envoy.record.admin)

    async def detach(self, key: InstanceKey) -> None:
        """Deregister the instance, then stop its sidecar; nothing when it has none."""
        async with self._lock(key):
            if key in self._attached:
                await self._detach(key)
        self._locks.pop(key, None)

    async def set_health(self, key: InstanceKey, health: Health) -> None:
        """Say how an instance is; `NotFound` when it has no sidecar here."""
        attachment = self._attached.get(key)
        if attachment is None:
            raise NotFound(f"no instance {key.namespace}/{key.service}/{key.id} on this host")
        self._leases.set_health(key, health)
        if attachment.health != health:
            try:
                self._remember(msgspec.structs.replace(attachment, health=health))
            except Unavailable as error:  # a full disk must not keep callers from learning
                log.warning("%s/%s: %s", key.service, key.id, error)

    async def settle(self, key: InstanceKey, limit_s: float = 2.0) -> bool:
        """Wait until the registry knows an instance's latest health; False when it does not in time."""
        return await self._leases.reported(key, limit_s)

    def list(self) -> Sequence[Sidecar]:
        """Return the attached sidecars, sorted."""
        return [
            _sidecar(attachment, self._envoys.get(proxy_name(attachment.node)).record.admin)
            for _, attachment in sorted(self._attached.items(), key=lambda item: item[0])
        ]

    def health_of(self, key: InstanceKey) -> Health | None:
        """Return the latest health of an instance; None when it has no sidecar here."""
        attachment = self._attached.get(key)
        return None if attachment is None else attachment.health

    def attachments(self) -> Mapping[InstanceKey, Attachment]:
        """Return all that is known of what is attached."""
        return self._attached

    async def detach_all(self) -> None:
        """Deregister every instance at once, then stop the sidecars."""
        keys = list(self._attached)
        await self._leases.release(keys)
        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(self.detach(key))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _remember(self, attachment: Attachment) -> None:
        self._attached[attachment.request.key] = attachment
        self._records.save(proxy_name(attachment.node), attachment)

    def _lock(self, key: InstanceKey) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    def _new_node(self, request: SidecarRequest) -> SidecarNode:
        key = request.key
        outbound = self._ports.pick() if request.outbound is None else request.outbound
        self._ports.hold(outbound)
        inbound = Inbound(self._ports.pick(), request.application, request.protocol)
        return SidecarNode(key.namespace, key.service, key.id, outbound, (inbound,))

    async def _detach(self, key: InstanceKey, node: SidecarNode | None = None) -> None:
        attachment = self._attached.pop(key, None)
        node = attachment.node if attachment is not None else node
        if node is not None:
            self._records.remove(proxy_name(node))  # first: a later agent stops an Envoy that has no record
        was_held = any(instance.key == key for instance in self._leases.list())
        await self._leases.release([key])
        if was_held:
            await asyncio.sleep(LINGER_S)
        if node is not None:
            await self._envoys.remove(proxy_name(node))


def _serves(node: SidecarNode, request: SidecarRequest) -> bool:
    return all(
        inbound.application == request.application and inbound.protocol == request.protocol for inbound in node.inbound
    )


def key_of(node: SidecarNode) -> InstanceKey:
    """Name the instance a sidecar stands beside."""
    return InstanceKey(node.namespace, node.service, node.instance)


def _instance(attachment: Attachment) -> Instance:
    request, listen = attachment.request, attachment.node.inbound[0].listen
    key = request.key
    return Instance(
        namespace=key.namespace,
        service=key.service,
        id=key.id,
        address=listen.host,
        port=listen.port,
        target_port=request.application.port,
        protocol=request.protocol,
        weight=request.weight,
        zone=request.zone,
        labels={**request.labels, SERVICE_LABEL: key.service},
        health=attachment.health,
        lease_s=request.lease_s,
    )


def _sidecar(attachment: Attachment, admin: Address) -> Sidecar:
    node = attachment.node
    return Sidecar(attachment.request.key, node.outbound, node.inbound[0].listen, admin)
