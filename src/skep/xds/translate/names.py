"""How resources are named on the wire. In: names of the IR; out: strings, and back. Never looks anything up."""

from skep.model.names import Namespace

_PREFIX = "type.googleapis.com/"
CDS = _PREFIX + "envoy.config.cluster.v3.Cluster"
EDS = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LDS = _PREFIX + "envoy.config.listener.v3.Listener"
RDS = _PREFIX + "envoy.config.route.v3.RouteConfiguration"
VHDS = _PREFIX + "envoy.config.route.v3.VirtualHost"
SDS = _PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"

OUTBOUND = "outbound"
"""The listener to which a sidecar's application sends its calls."""
INVALID = "invalid"
"""The cluster, without a host, that the share of an invalid backend names; it is in every bootstrap."""
RETRIABLE_HEADER = "x-skep-retriable"
"""On an answer of an inbound sidecar: the application did not act on the request, it may be sent elsewhere."""


def inbound(port: int) -> str:
    """Name the listener, and the cluster, of an inbound port."""
    return f"inbound/{port}"


def outbound_table(namespace: Namespace) -> str:
    """Name the table of routes that sidecars of a namespace share."""
    return f"{OUTBOUND}/{namespace}"


def outbound_host(namespace: Namespace, authority: str) -> str:
    """Name the virtual host that answers for an authority called from a namespace."""
    return f"{OUTBOUND}/{namespace}/{authority}"


def parse_outbound_host(name: str) -> tuple[Namespace, str] | None:
    """Split the name of a virtual host into namespace and authority; None when it is not one."""
    parts = name.split("/", 2)
    if len(parts) != 3 or parts[0] != OUTBOUND or not parts[1] or not parts[2]:
        return None
    return Namespace(parts[1]), parts[2]


def secret(certificate: str) -> str:
    """Name the secret that carries a certificate (`namespace/name`)."""
    return f"secret/{certificate}"


def parse_secret(name: str) -> str | None:
    """Return the certificate's name behind a secret's name; None when it is not one."""
    prefix, _, certificate = name.partition("/")
    return certificate if prefix == "secret" and certificate else None
