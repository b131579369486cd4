"""The registry as the leases need it, over HTTP. In: records; out: the registry API's documents and back."""

from collections.abc import Sequence

from skep.clients.api import RegistryClient
from skep.model.instance import Instance, InstanceKey
from skep.model.names import SERVICE_LABEL, InstanceId, Namespace, ServiceName
from skep.registry.registration import wire_document

AGENT_NAMESPACE, AGENT_SERVICE = Namespace("skep-system"), ServiceName("skep-agent")
"""Where each host's agent is registered: the control plane places pods on those that live."""


class HttpRegistry:
    """Speaks for one agent."""

    def __init__(self, client: RegistryClient, source: str) -> None:
        self._client = client
        self._source = source

    async def register(self, instances: Sequence[Instance]) -> None:
        """Add or replace instances; durable when it returns."""
        await self._client.register([{**wire_document(instance), "source": self._source} for instance in instances])

    async def renew(self, keys: Sequence[InstanceKey]) -> list[InstanceKey]:
        """Keep leases; returns the instances the registry does not know."""
        unknown = await self._client.renew([_names(key) for key in keys], self._source)
        return [
            InstanceKey(Namespace(each["namespace"]), ServiceName(each["service"]), InstanceId(each["id"]))
            for each in unknown
        ]

    async def deregister(self, keys: Sequence[InstanceKey]) -> None:
        """Remove instances; unknown ones are fine."""
        await self._client.deregister([_names(key) for key in keys])


def agent_instance(name: str, address: str, zone: str) -> Instance:
    """Return the registration of an agent itself. Nobody calls it: it is reached through its unix socket only."""
    return Instance(
        namespace=AGENT_NAMESPACE,
        service=AGENT_SERVICE,
        id=InstanceId(name),
        address=address,
        port=1,
        protocol="tcp",
        zone=zone,
        labels={SERVICE_LABEL: AGENT_SERVICE},
    )


def _names(key: InstanceKey) -> dict[str, str]:
    return {"namespace": key.namespace, "service": key.service, "id": key.id}
