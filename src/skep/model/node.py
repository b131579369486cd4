"""A proxy as the control plane knows it: a gateway's, or the sidecar of one instance. Parsed from Envoy's node metadata."""

import msgspec

from skep.model.names import InstanceId, Namespace, ServiceName


class Address(msgspec.Struct, frozen=True, order=True):
    """An IP address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Render as `host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Inbound(msgspec.Struct, frozen=True):
    """One port at which a sidecar receives calls for its application."""

    listen: Address
    application: Address
    protocol: str = "http"


class SidecarNode(msgspec.Struct, frozen=True, tag="sidecar"):
    """The proxy beside one instance."""

    namespace: Namespace
    service: ServiceName
    instance: InstanceId
    outbound: Address
    """Where the application sends its calls."""
    inbound: tuple[Inbound, ...] = ()


class GatewayNode(msgspec.Struct, frozen=True, tag="gateway"):
    """A proxy that carries one Gateway."""

    namespace: Namespace
    name: str


Node = SidecarNode | GatewayNode
