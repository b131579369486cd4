"""Where requests can be sent: a service's port and the instances behind it."""

import msgspec

from skep.model.node import Address


class Upstream(msgspec.Struct, frozen=True):
    """One port of one service."""

    name: str
    """`namespace/service:port`; unique over the mesh."""
    protocol: str = "http"
    """http, http2, grpc or tcp."""
    connect_timeout_s: float = 2.0
    external: Address | None = None
    """A DNS name and port outside the mesh; None when instances from the registry serve it."""


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """One address that serves an upstream."""

    address: str
    port: int
    weight: int = 100
    zone: str = ""


class Endpoints(msgspec.Struct, frozen=True):
    """The instances that may receive an upstream's calls now, sorted."""

    upstream: str
    endpoints: tuple[Endpoint, ...] = ()
