"""Clusters: IR Upstream, or a sidecar's inbound port -> Envoy Cluster. Defaults never hold back or hide a service by themselves.

No panic (a failing instance gets nothing, even when all fail), limits far above need (a rule lowers them), and idle
connections are given up before common servers close them, because a request sent into a closing connection is lost.
"""

from envoy.config.cluster.v3 import circuit_breaker_pb2
from envoy.config.cluster.v3 import cluster_pb2 as pb
from envoy.config.core.v3 import protocol_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from skep.ir.upstream import Endpoint, Endpoints, Upstream
from skep.model.node import Inbound
from skep.xds.translate import names
from skep.xds.translate.endpoint import translate_endpoints
from skep.xds.translate.filters import ads
from skep.xds.translate.wire import pack

_NO_LIMIT = 2**31 - 1
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HTTP2 = frozenset({"http2", "grpc"})
_IDLE_S = 4.0
_IDLE_INBOUND_S = 1.0
_IDLE_HTTP2_S = 300.0


def translate_upstream(upstream: Upstream) -> pb.Cluster:
    """Build the cluster of one port of a service."""
    out = _cluster(upstream.name, upstream.protocol, upstream.connect_timeout_s, _IDLE_S)
    # In turn, not by fewest requests: a host that fails at once always has the fewest, and would be tried again and again.
    out.lb_policy = pb.Cluster.ROUND_ROBIN
    if upstream.external is None:
        out.type = pb.Cluster.EDS
        out.eds_cluster_config.eds_config.CopyFrom(ads(fetch_timeout_s=5))
    else:
        out.type = pb.Cluster.STRICT_DNS
        out.dns_lookup_family = pb.Cluster.V4_PREFERRED
        out.load_assignment.CopyFrom(_fixed(upstream.name, upstream.external.host, upstream.external.port))
    return out


def translate_inbound(inbound: Inbound) -> pb.Cluster:
    """Build the cluster of the application behind an inbound port."""
    name = names.inbound(inbound.listen.port)
    out = _cluster(name, inbound.protocol, 2.0, _IDLE_INBOUND_S)
    out.type = pb.Cluster.STATIC
    out.load_assignment.CopyFrom(_fixed(name, inbound.application.host, inbound.application.port))
    return out


def _cluster(name: str, protocol: str, connect_timeout_s: float, idle_s: float) -> pb.Cluster:
    out = pb.Cluster(name=name)
    out.connect_timeout.FromMilliseconds(round(connect_timeout_s * 1000))
    out.common_lb_config.healthy_panic_threshold.value = 0
    out.circuit_breakers.thresholds.append(_no_limits())
    if protocol != "tcp":
        out.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(pack(_http_options(protocol, idle_s)))
    return out


def _no_limits() -> circuit_breaker_pb2.CircuitBreakers.Thresholds:
    limits = circuit_breaker_pb2.CircuitBreakers.Thresholds()
    for limit in (limits.max_connections, limits.max_pending_requests, limits.max_requests, limits.max_retries):
        limit.value = _NO_LIMIT
    return limits


def _http_options(protocol: str, idle_s: float) -> http_protocol_options_pb2.HttpProtocolOptions:
    out = http_protocol_options_pb2.HttpProtocolOptions()
    idle = out.common_http_protocol_options.idle_timeout
    if protocol in _HTTP2:
        idle.FromMilliseconds(round(_IDLE_HTTP2_S * 1000))
        out.explicit_http_config.http2_protocol_options.CopyFrom(protocol_pb2.Http2ProtocolOptions())
    else:
        idle.FromMilliseconds(round(idle_s * 1000))
        out.explicit_http_config.http_protocol_options.CopyFrom(protocol_pb2.Http1ProtocolOptions())
    return out


def _fixed(name: str, host: str, port: int) -> endpoint_pb2.ClusterLoadAssignment:
    return translate_endpoints(Endpoints(name, (Endpoint(host, port),)))
