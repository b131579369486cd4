"""From the IR to what is sent: each function makes the resources of one kind, serialised once, with a hash as their version.

In: IR records and nodes. Out: `Encoded`, ready to be embedded in any stream's response.
"""

from google.protobuf.message import Message

from skep.ir.edge import Certificate, EdgePort, Routes
from skep.ir.route import Origin, VirtualHost
from skep.ir.upstream import Endpoints, Upstream
from skep.model.names import Namespace
from skep.model.node import SidecarNode
from skep.xds.snapshot import Encoded
from skep.xds.translate import names
from skep.xds.translate.cluster import translate_inbound, translate_upstream
from skep.xds.translate.endpoint import translate_endpoints
from skep.xds.translate.listener import translate_edge_port, translate_inbound_listener, translate_outbound
from skep.xds.translate.secret import translate_certificate
from skep.xds.translate.virtualhost import (
    mirrors_of,
    origins_of,
    outbound_table_message,
    routes_bytes,
    virtual_host_bytes,
)
from skep.xds.translate.wire import any_bytes, digest, field, serialize, type_url

Origins = tuple[tuple[Origin, str], ...]
_VERSION, _RESOURCE, _NAME, _ALIASES = 1, 2, 3, 4  # of envoy.service.discovery.v3.Resource


def encode_sidecar_listeners(node: SidecarNode) -> tuple[Encoded, ...]:
    """Encode all listeners of a sidecar."""
    listeners = (translate_outbound(node), *(translate_inbound_listener(inbound) for inbound in node.inbound))
    return tuple(_message(listener.name, listener) for listener in listeners)


def encode_sidecar_clusters(node: SidecarNode) -> tuple[Encoded, ...]:
    """Encode the clusters a sidecar holds without asking: its own application's."""
    return tuple(_message(names.inbound(i.listen.port), translate_inbound(i)) for i in node.inbound)


def encode_outbound_table(namespace: Namespace) -> Encoded:
    """Encode the table of routes that sidecars of a namespace share."""
    name = names.outbound_table(namespace)
    return _message(name, outbound_table_message(name))


def encode_outbound_host(namespace: Namespace, authority: str, host: VirtualHost) -> Encoded:
    """Encode what an authority means to callers in a namespace; it answers for exactly that authority."""
    name = names.outbound_host(namespace, authority)
    body = virtual_host_bytes(host, name, (authority,), on_demand=True)
    return _encoded(names.VHDS, name, body, origins=origins_of((host,)), aliases=(name,), needs=mirrors_of(host))


def encode_edge_port(port: EdgePort) -> Encoded:
    """Encode the listener of one port of a gateway."""
    body = serialize(translate_edge_port(port))
    return _encoded(names.LDS, port.name, body, origins=((port.origin, digest(body)),))


def encode_routes(routes: Routes) -> Encoded:
    """Encode the table of routes of one of a gateway's servers."""
    return _encoded(names.RDS, routes.name, routes_bytes(routes), origins=origins_of(routes.virtual_hosts))


def encode_upstream(upstream: Upstream) -> Encoded:
    """Encode the cluster of one port of a service."""
    return _message(upstream.name, translate_upstream(upstream))


def encode_endpoints(endpoints: Endpoints) -> Encoded:
    """Encode the instances behind one port of a service."""
    return _message(endpoints.upstream, translate_endpoints(endpoints))


def encode_certificate(certificate: Certificate) -> Encoded:
    """Encode a certificate with its key."""
    return _message(names.secret(certificate.name), translate_certificate(certificate))


def encode_unknown_host(name: str) -> Encoded:
    """Encode the answer to a name that no virtual host has: without a body Envoy answers 404 at once."""
    return Encoded(name, "", field(_NAME, name.encode()) + field(_ALIASES, name.encode()))


def encode_first_host(namespace: Namespace) -> Encoded:
    """Encode the virtual host that opens a sidecar's table: nobody calls it, but without one the listener stays closed."""
    return encode_outbound_host(namespace, "nobody.invalid", VirtualHost("nobody.invalid", ()))


def _message(name: str, message: Message) -> Encoded:
    return _encoded(type_url(message), name, serialize(message))


def _encoded(
    url: str,
    name: str,
    body: bytes,
    *,
    origins: Origins = (),
    aliases: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
) -> Encoded:
    version = digest(body)
    payload = b"".join(
        (
            field(_VERSION, version.encode()),
            field(_RESOURCE, any_bytes(url, body)),
            field(_NAME, name.encode()),
            *(field(_ALIASES, alias.encode()) for alias in aliases),
        )
    )
    return Encoded(name, version, payload, origins, needs)
