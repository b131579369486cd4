"""The answer to each demand of a proxy: which compiled unit it names, whether the asker may see it, and its encoding.

Units of the compiler's memory like any other, so an answer is made once for all who share it and again only when
something it read has changed. Pure.
"""

from skep.compiler.edge import certificate, edge_ports, edge_routes, edge_upstreams
from skep.compiler.hosts import outbound_host
from skep.compiler.memo import Memo
from skep.compiler.upstreams import endpoints, upstream, visible
from skep.ir.edge import EdgePort
from skep.model.names import GATEWAY_GROUP, Namespace, ObjectRef
from skep.model.node import GatewayNode, SidecarNode
from skep.xds.snapshot import WILDCARD, Demand, Encoded
from skep.xds.translate import encode, names

Answer = tuple[Encoded, ...]


def answer_to(memo: Memo, demand: Demand) -> Answer:
    """Return what a demand is answered with; nothing when it does not exist or is not for the asker."""
    if demand.name == WILDCARD:
        return _everything(memo, demand)
    if isinstance(demand.viewer, GatewayNode):
        return _for_gateway(memo, demand, gateway_of(demand.viewer))
    namespace = demand.viewer.namespace if isinstance(demand.viewer, SidecarNode) else demand.viewer
    return _for_sidecar(memo, demand, namespace)


def _everything(memo: Memo, demand: Demand) -> Answer:
    node = demand.viewer
    if isinstance(node, SidecarNode):
        if demand.type_url == names.LDS:
            return encode.encode_sidecar_listeners(node)
        return encode.encode_sidecar_clusters(node) if demand.type_url == names.CDS else ()
    if isinstance(node, GatewayNode):
        if demand.type_url == names.LDS:
            return tuple(memo.get(_encoded_port, port) for port in memo.get(edge_ports, gateway_of(node)))
        if demand.type_url == names.CDS:
            found = (memo.get(_encoded_upstream, name) for name in memo.get(edge_upstreams, gateway_of(node)))
            return tuple(each for some in found for each in some)
    return ()


def _for_gateway(memo: Memo, demand: Demand, gateway: ObjectRef) -> Answer:
    name = demand.name
    if demand.type_url == names.RDS:
        servers = {server.name for port in memo.get(edge_ports, gateway) for server in port.servers}
        return memo.get(_encoded_routes, name) if name in servers else ()
    if demand.type_url == names.SDS:
        shown = memo.get(_certificates, gateway)
        wanted = names.parse_secret(name)
        return memo.get(_encoded_certificate, wanted) if wanted is not None and wanted in shown else ()
    if name not in memo.get(_upstream_set, gateway):
        return ()
    return _service(memo, demand.type_url, name)


def _for_sidecar(memo: Memo, demand: Demand, namespace: Namespace) -> Answer:
    name = demand.name
    if demand.type_url == names.RDS:
        return (encode.encode_outbound_table(namespace),) if name == names.outbound_table(namespace) else ()
    if demand.type_url == names.VHDS:
        called = names.parse_outbound_host(name)
        if called is None or called[0] != namespace:
            return ()
        return memo.get(_encoded_host, *called)
    return _service(memo, demand.type_url, name) if memo.get(visible, namespace, name) else ()


def _service(memo: Memo, type_url: str, name: str) -> Answer:
    if type_url == names.CDS:
        return memo.get(_encoded_upstream, name)
    if type_url == names.EDS and memo.get(upstream, name) is not None:
        return memo.get(_encoded_endpoints, name)
    return ()


def _encoded_host(memo: Memo, namespace: Namespace, authority: str) -> Answer:
    host = memo.get(outbound_host, namespace, authority)
    return () if host is None else (encode.encode_outbound_host(namespace, authority, host),)


def _encoded_upstream(memo: Memo, name: str) -> Answer:
    found = memo.get(upstream, name)
    return () if found is None else (encode.encode_upstream(found),)


def _encoded_endpoints(memo: Memo, name: str) -> Answer:
    return (encode.encode_endpoints(memo.get(endpoints, name)),)


def _encoded_routes(memo: Memo, name: str) -> Answer:
    routes = memo.get(edge_routes, name)
    return () if routes is None else (encode.encode_routes(routes),)


def _encoded_port(_: Memo, port: EdgePort) -> Encoded:
    return encode.encode_edge_port(port)


def _encoded_certificate(memo: Memo, name: str) -> Answer:
    found = memo.get(certificate, name)
    return () if found is None else (encode.encode_certificate(found),)


def _certificates(memo: Memo, gateway: ObjectRef) -> frozenset[str]:
    ports = memo.get(edge_ports, gateway)
    return frozenset(name for port in ports for server in port.servers for name in server.certificates)


def _upstream_set(memo: Memo, gateway: ObjectRef) -> frozenset[str]:
    return frozenset(memo.get(edge_upstreams, gateway))


def gateway_of(node: GatewayNode) -> ObjectRef:
    """Name the Gateway whose proxy this is."""
    return ObjectRef(GATEWAY_GROUP, "Gateway", node.namespace, node.name)
