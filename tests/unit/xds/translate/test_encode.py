"""What is sent: named, versioned by content, parseable."""

import msgspec
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2

from skep.ir.edge import Certificate, EdgePort, Routes, Server
from skep.ir.match import RequestMatch
from skep.ir.route import Backend, Forward, Mirror, Origin, Route, VirtualHost
from skep.ir.upstream import Endpoint, Endpoints
from skep.model.names import InstanceId, Namespace, ObjectRef, ServiceName
from skep.model.node import Address, Inbound, SidecarNode
from skep.xds.snapshot import Encoded
from skep.xds.translate import encode

ORIGIN = Origin(ObjectRef("", "Service", "shop", "a"), 1)
HOST = VirtualHost(
    "a", ("a",), (Route("r", RequestMatch(), Forward((Backend("shop/a:80"),), (Mirror("shop/b:80"),)), ORIGIN),)
)
SHOP = Namespace("shop")
NODE = SidecarNode(
    SHOP,
    ServiceName("a"),
    InstanceId("a-1"),
    Address("127.0.0.1", 15001),
    (
        Inbound(Address("127.0.0.1", 15006), Address("127.0.0.1", 9000)),
        Inbound(Address("127.0.0.1", 15007), Address("127.0.0.1", 9001), "tcp"),
        Inbound(Address("127.0.0.1", 15008), Address("127.0.0.1", 9002), "grpc"),
    ),
)


def resource(encoded: Encoded) -> discovery_pb2.Resource:
    out = discovery_pb2.Resource.FromString(encoded.payload)
    assert (out.name, out.version) == (encoded.name, encoded.version)
    return out


def test_outbound_host_answers_for_exactly_its_authority() -> None:
    encoded = encode.encode_outbound_host(SHOP, "a.shop:8080", HOST)
    out = resource(encoded)
    assert list(out.aliases) == [out.name] == ["outbound/shop/a.shop:8080"]
    host = route_components_pb2.VirtualHost()
    assert out.resource.Unpack(host)
    assert list(host.domains) == ["a.shop:8080"]
    assert "envoy.filters.http.on_demand" in host.typed_per_filter_config
    assert encoded.needs == ("shop/b:80",)
    assert [origin for origin, _ in encoded.origins] == [ORIGIN]


def test_version_follows_content() -> None:
    one = encode.encode_endpoints(Endpoints("shop/a:80", (Endpoint("127.0.0.1", 1),)))
    same = encode.encode_endpoints(Endpoints("shop/a:80", (Endpoint("127.0.0.1", 1),)))
    other = encode.encode_endpoints(Endpoints("shop/a:80", (Endpoint("127.0.0.1", 2),)))
    assert one == same
    assert one.version != other.version


def test_sidecar_has_a_listener_and_a_cluster_for_each_port() -> None:
    names = [encoded.name for encoded in encode.encode_sidecar_listeners(NODE)]
    assert names == ["outbound", "inbound/15006", "inbound/15007", "inbound/15008"]
    assert [encoded.name for encoded in encode.encode_sidecar_clusters(NODE)] == names[1:]
    chains = []
    for encoded in encode.encode_sidecar_listeners(NODE):
        listener = listener_pb2.Listener()
        assert resource(encoded).resource.Unpack(listener)
        chains.append(listener.filter_chains[0].filters[0].name.rpartition(".")[2])
        assert listener.enable_reuse_port.value is False
    assert chains == ["http_connection_manager", "http_connection_manager", "tcp_proxy", "http_connection_manager"]


def test_edge_port_has_a_chain_for_each_server() -> None:
    servers = (Server("gateway/shop/e/443/a", ("a.example",), ("shop/cert",)), Server("gateway/shop/e/443/b"))
    encoded = encode.encode_edge_port(EdgePort("gateway/shop/e/443", Address("127.0.0.1", 443), servers, ORIGIN))
    listener = listener_pb2.Listener()
    assert resource(encoded).resource.Unpack(listener)
    assert [list(c.filter_chain_match.server_names) for c in listener.filter_chains] == [["a.example"], []]
    assert [c.HasField("transport_socket") for c in listener.filter_chains] == [True, False]
    assert [f.name for f in listener.listener_filters] == ["envoy.filters.listener.tls_inspector"]
    assert encoded.origins[0][0] == ORIGIN


def test_secret_is_not_printed() -> None:
    encoded = encode.encode_certificate(Certificate("shop/cert", "CHAIN", "KEY"))
    secret = secret_pb2.Secret()
    assert resource(encoded).resource.Unpack(secret)
    assert (secret.name, secret.tls_certificate.private_key.inline_string) == ("secret/shop/cert", "KEY")
    assert "KEY" not in repr(encoded)


def test_table_of_sidecars_and_of_gateways() -> None:
    assert resource(encode.encode_outbound_table(SHOP)).name == "outbound/shop"
    assert encode.encode_routes(Routes("t", (HOST,))).origins[0][0] == ORIGIN
    first = encode.encode_first_host(SHOP)
    assert first.name.startswith("outbound/shop/")
    assert msgspec.structs.astuple(encode.encode_unknown_host("outbound/shop/x"))[:2] == ("outbound/shop/x", "")
