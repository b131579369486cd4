"""Listeners of sidecars and gateways."""

from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from skep.ir.edge import EdgePort, Server
from skep.ir.route import Origin
from skep.model.names import InstanceId, Namespace, ObjectRef, ServiceName
from skep.model.node import Address, Inbound, SidecarNode
from skep.xds.translate.listener import translate_edge_port, translate_inbound_listener, translate_outbound

ORIGIN = Origin(ObjectRef("", "Service", "shop", "a"), 1)


def manager(listener: Any, chain: int = 0) -> hcm.HttpConnectionManager:
    out = hcm.HttpConnectionManager()
    assert listener.filter_chains[chain].filters[0].typed_config.Unpack(out)
    return out


def test_outbound_takes_the_table_of_its_namespace() -> None:
    node = SidecarNode(Namespace("shop"), ServiceName("a"), InstanceId("a-1"), Address("127.0.0.1", 15001))
    out = translate_outbound(node)
    assert manager(out).rds.route_config_name == "outbound/shop"
    assert out.address.socket_address.port_value == 15001
    assert out.enable_reuse_port.value is False


def test_inbound_marks_what_may_be_repeated_and_strips_the_application_s_own_mark() -> None:
    out = manager(translate_inbound_listener(Inbound(Address("127.0.0.1", 15006), Address("127.0.0.1", 9000))))
    assert list(out.route_config.response_headers_to_remove) == ["x-skep-retriable"]
    mappers = out.local_reply_config.mappers
    assert [m.headers_to_add[0].header.key for m in mappers] == ["x-skep-retriable"] * 2
    assert mappers[0].filter.response_flag_filter.flags == ["UF"]
    methods = [f.header_filter.header for f in mappers[1].filter.and_filter.filters if f.HasField("header_filter")]
    assert [(m.string_match.exact, m.invert_match) for m in methods] == [
        ("POST", True),
        ("PATCH", True),
        ("CONNECT", True),
    ]


def test_tcp_is_passed_through() -> None:
    out = translate_inbound_listener(Inbound(Address("127.0.0.1", 15006), Address("127.0.0.1", 9000), "tcp"))
    assert out.filter_chains[0].filters[0].name == "envoy.filters.network.tcp_proxy"


def test_gateway_trusts_nothing_and_serves_each_name_with_its_certificate() -> None:
    servers = (Server("g/443/a", ("a.example",), ("shop/cert",)), Server("g/443/b"))
    out = translate_edge_port(EdgePort("g/443", Address("127.0.0.1", 443), servers, ORIGIN))
    assert [list(c.filter_chain_match.server_names) for c in out.filter_chains] == [["a.example"], []]
    assert [c.HasField("transport_socket") for c in out.filter_chains] == [True, False]
    assert [f.name for f in out.listener_filters] == ["envoy.filters.listener.tls_inspector"]
    edge = manager(out)
    assert edge.use_remote_address.value
    assert edge.normalize_path.value
    assert [u.upgrade_type for u in edge.upgrade_configs] == ["websocket"]


def test_port_without_tls_needs_no_inspector() -> None:
    out = translate_edge_port(EdgePort("g/80", Address("127.0.0.1", 80), (Server("g/80"),), ORIGIN))
    assert not out.listener_filters
    assert manager(out).rds.route_config_name == "g/80"
