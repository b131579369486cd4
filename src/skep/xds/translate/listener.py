"""Listeners: a sidecar's own, from its node; a gateway's, from IR EdgePort. Ports are taken exclusively, so that a taken one
is refused and reported instead of shared with a stranger.
"""

from collections.abc import Sequence
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import protocol_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.type.matcher.v3 import string_pb2

from skep.ir.edge import EdgePort, Server
from skep.model.node import Address, Inbound, SidecarNode
from skep.xds.translate import names
from skep.xds.translate.endpoint import socket_address
from skep.xds.translate.filters import ads, gateway_filters, inbound_filters, outbound_filters
from skep.xds.translate.headers import header_option
from skep.xds.translate.retry import NOT_IDEMPOTENT
from skep.xds.translate.wire import pack

_HCM = "envoy.filters.network.http_connection_manager"
_NO_ANSWER_FROM_APPLICATION = "UF"
_CUT_OFF = "UC"


def translate_outbound(node: SidecarNode) -> listener_pb2.Listener:
    """Build the listener to which the application sends its calls."""
    manager = _manager("outbound", outbound_filters())
    manager.rds.route_config_name = names.outbound_table(node.namespace)
    manager.rds.config_source.CopyFrom(ads())
    return _listener(names.OUTBOUND, node.outbound, [_chain(_HCM, manager)])


def translate_inbound_listener(inbound: Inbound) -> listener_pb2.Listener:
    """Build the listener that receives calls for the application."""
    name = names.inbound(inbound.listen.port)
    if inbound.protocol == "tcp":
        proxy = tcp_proxy_pb2.TcpProxy(stat_prefix="inbound", cluster=name)
        return _listener(name, inbound.listen, [_chain("envoy.filters.network.tcp_proxy", proxy)])
    manager = _manager("inbound", inbound_filters())
    manager.route_config.CopyFrom(_to_application(name))
    manager.local_reply_config.mappers.extend(_retriable_replies())
    return _listener(name, inbound.listen, [_chain(_HCM, manager)])


def translate_edge_port(port: EdgePort) -> listener_pb2.Listener:
    """Build the listener of one port of a gateway: with TLS a filter chain for each server, by the name the client asks for."""
    chains = [_edge_chain(server) for server in port.servers]
    listener = _listener(port.name, port.address, chains)
    if any(server.certificates for server in port.servers):
        listener.listener_filters.append(
            listener_components_pb2.ListenerFilter(
                name="envoy.filters.listener.tls_inspector", typed_config=pack(tls_inspector_pb2.TlsInspector())
            )
        )
    return listener


def _edge_chain(server: Server) -> Any:
    manager = _manager("gateway", gateway_filters())
    manager.rds.route_config_name = server.name
    manager.rds.config_source.CopyFrom(ads())
    _guard_edge(manager)
    chain = _chain(_HCM, manager, name=server.name)
    if server.certificates:
        chain.filter_chain_match.server_names.extend(server.server_names)
        chain.transport_socket.name = "envoy.transport_sockets.tls"
        chain.transport_socket.typed_config.CopyFrom(pack(_tls(server.certificates)))
    return chain


def _tls(certificates: Sequence[str]) -> Any:
    context = tls_pb2.DownstreamTlsContext()
    context.common_tls_context.alpn_protocols.extend(("h2", "http/1.1"))
    for certificate in certificates:
        secret = context.common_tls_context.tls_certificate_sds_secret_configs.add(name=names.secret(certificate))
        secret.sds_config.CopyFrom(ads(fetch_timeout_s=2))
    return context


def _guard_edge(manager: Any) -> None:
    """Trust nothing from outside: neither its address headers nor its wishes, and give nobody a connection for ever."""
    manager.use_remote_address.value = True
    manager.internal_address_config.SetInParent()
    manager.preserve_external_request_id = True
    manager.normalize_path.value = True
    manager.path_with_escaped_slashes_action = hcm.HttpConnectionManager.KEEP_UNCHANGED
    manager.common_http_protocol_options.idle_timeout.FromSeconds(300)
    manager.request_headers_timeout.FromSeconds(30)
    manager.http2_protocol_options.max_concurrent_streams.value = 256
    manager.http2_protocol_options.initial_stream_window_size.value = 1 << 18
    manager.http2_protocol_options.initial_connection_window_size.value = 1 << 20


def _manager(stat_prefix: str, filters: Sequence[Any]) -> Any:
    manager = hcm.HttpConnectionManager(
        stat_prefix=stat_prefix,
        http_filters=filters,
        server_header_transformation=hcm.HttpConnectionManager.PASS_THROUGH,
        skip_xff_append=stat_prefix != "gateway",
        http_protocol_options=protocol_pb2.Http1ProtocolOptions(
            accept_http_10=True, default_host_for_http_10="localhost"
        ),
    )
    manager.use_remote_address.value = False
    manager.upgrade_configs.add(upgrade_type="websocket")
    return manager


def _to_application(name: str) -> route_pb2.RouteConfiguration:
    host = route_components_pb2.VirtualHost(name=name, domains=["*"])
    route = host.routes.add()
    route.match.prefix = "/"
    route.route.cluster = name
    route.route.timeout.FromSeconds(0)
    # What an application says under our header's name is not for its callers.
    return route_pb2.RouteConfiguration(
        name=name, virtual_hosts=[host], response_headers_to_remove=[names.RETRIABLE_HEADER]
    )


def _retriable_replies() -> list[Any]:
    """Mark our own answers after which a caller's proxy may try another instance."""
    not_reached = accesslog_pb2.AccessLogFilter()
    not_reached.response_flag_filter.flags.append(_NO_ANSWER_FROM_APPLICATION)
    repeatable = accesslog_pb2.AccessLogFilter()
    cut_off = repeatable.and_filter.filters.add()
    cut_off.response_flag_filter.flags.append(_CUT_OFF)
    for method in NOT_IDEMPOTENT:
        header = repeatable.and_filter.filters.add().header_filter.header
        header.name = ":method"
        header.string_match.CopyFrom(string_pb2.StringMatcher(exact=method))
        header.invert_match = True
    mark = header_option(names.RETRIABLE_HEADER, "true")
    return [hcm.ResponseMapper(filter=f, headers_to_add=[mark]) for f in (not_reached, repeatable)]


def _chain(filter_name: str, config: Any, name: str = "") -> Any:
    chain = listener_components_pb2.FilterChain(name=name)
    chain.filters.add(name=filter_name).typed_config.CopyFrom(pack(config))
    return chain


def _listener(name: str, address: Address, chains: Sequence[Any]) -> listener_pb2.Listener:
    listener = listener_pb2.Listener(
        name=name, address=socket_address(address.host, address.port), filter_chains=chains, stat_prefix=_stat(name)
    )
    listener.enable_reuse_port.value = False
    return listener


def _stat(name: str) -> str:
    return name.replace("/", "_")
