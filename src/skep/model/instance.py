"""One running copy of a service, wherever it runs, and what is known of its health."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from skep.model.names import InstanceId, Namespace, ServiceId, ServiceName


class Health(StrEnum):
    """What the last report says of an instance; only `passing` ones receive calls."""

    PASSING = "passing"
    FAILING = "failing"
    STARTING = "starting"
    DRAINING = "draining"


class InstanceKey(msgspec.Struct, frozen=True, order=True):
    """Names one instance."""

    namespace: Namespace
    service: ServiceName
    id: InstanceId


class Instance(msgspec.Struct, frozen=True):
    """A registration: what an agent said of a running copy of a service."""

    namespace: Namespace
    service: ServiceName
    id: InstanceId
    address: str
    """An IP address that callers can reach."""
    port: int
    """Where callers connect: the inbound port of its sidecar, or its own."""
    target_port: int = 0
    """The port the application itself listens on, as the Service's `targetPort` names it; 0 when the same."""
    protocol: str = "http"
    """http, http2, grpc or tcp."""
    weight: int = 100
    """Share of calls against its peers, 1 to 1000."""
    zone: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Always holds `skep.dev/service`."""
    health: Health = Health.PASSING
    lease_s: float = 15.0
    """Removed when not heard of for this long."""
    source: str = "skep"
    """Which registry or agent says so."""

    @property
    def key(self) -> InstanceKey:
        """Its name in the registry."""
        return InstanceKey(self.namespace, self.service, self.id)

    @property
    def service_id(self) -> ServiceId:
        """The service it registered under."""
        return ServiceId(self.namespace, self.service)
