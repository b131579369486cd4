"""Clusters never hide or hold back a service by themselves."""

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from skep.ir.upstream import Upstream
from skep.model.node import Address, Inbound
from skep.xds.translate.cluster import translate_inbound, translate_upstream

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def options(cluster: cluster_pb2.Cluster) -> http_protocol_options_pb2.HttpProtocolOptions:
    out = http_protocol_options_pb2.HttpProtocolOptions()
    assert cluster.typed_extension_protocol_options[OPTIONS].Unpack(out)
    return out


def test_upstream_of_instances_takes_turns_and_never_panics() -> None:
    out = translate_upstream(Upstream("shop/a:80", connect_timeout_s=0.5))
    assert (out.type, out.lb_policy) == (cluster_pb2.Cluster.EDS, cluster_pb2.Cluster.ROUND_ROBIN)
    assert out.common_lb_config.HasField("healthy_panic_threshold")
    assert out.common_lb_config.healthy_panic_threshold.value == 0
    assert out.circuit_breakers.thresholds[0].max_retries.value > 1_000_000
    assert out.connect_timeout.ToMilliseconds() == 500


def test_protocol_decides_what_is_spoken() -> None:
    spoken = {name: translate_upstream(Upstream("shop/a:80", name)) for name in ("http", "http2", "grpc", "tcp")}
    assert options(spoken["http"]).explicit_http_config.HasField("http_protocol_options")
    assert options(spoken["http2"]).explicit_http_config.HasField("http2_protocol_options")
    assert options(spoken["grpc"]).explicit_http_config.HasField("http2_protocol_options")
    assert not spoken["tcp"].typed_extension_protocol_options


def test_idle_connections_end_before_common_servers_end_them() -> None:
    idle = options(translate_upstream(Upstream("shop/a:80"))).common_http_protocol_options.idle_timeout
    assert 0 < idle.ToSeconds() < 5
    inbound = translate_inbound(Inbound(Address("127.0.0.1", 15006), Address("127.0.0.1", 9000)))
    assert options(inbound).common_http_protocol_options.idle_timeout.ToSeconds() < 2


def test_external_upstream_is_looked_up_and_inbound_is_fixed() -> None:
    external = translate_upstream(Upstream("shop/x:443", external=Address("x.example", 443)))
    assert external.type == cluster_pb2.Cluster.STRICT_DNS
    inbound = translate_inbound(Inbound(Address("127.0.0.1", 15006), Address("127.0.0.1", 9000)))
    socket = inbound.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
    assert (inbound.name, socket.address, socket.port_value) == ("inbound/15006", "127.0.0.1", 9000)
