"""Envoy's bootstrap: who it is, where its configuration comes from, and little else. In: a node and addresses; out: JSON data.

Pure. Everything that may change comes over xDS. The short fetch time-outs let a proxy open what it knows while the control
plane is away.
"""

from typing import Any

import msgspec

from skep.model.node import Address, GatewayNode, Node
from skep.xds.translate.names import INVALID

_CONTROL_PLANE = "control-plane"
_FETCH_TIMEOUT = "5s"
_STATS_PREFIXES = ("server.", "listener_manager.", "cluster_manager.", "runtime.load", "control_plane.")
_STATS_PARTS = (
    r"http\.(gateway|inbound|outbound)\.(downstream_rq_(total|[1-5]xx|active|time)|downstream_cx_(total|active))",
    r"cluster\..*\.(upstream_rq_(total|[1-5]xx|active|retry|retry_success|timeout)|upstream_cx_(active|connect_fail))",
    r"cluster\..*\.membership_(total|healthy)",
    r"listener\..*\.(downstream_cx_total|downstream_cx_active)",
)


def bootstrap(node: Node, xds: Address, token: str, admin: Address) -> dict[str, Any]:
    """Render the bootstrap of a proxy that takes its configuration from `xds`, and shows itself at `admin`."""
    return {
        "node": {
            "id": node_id(node),
            "cluster": _service(node),
            "metadata": {"skep": msgspec.to_builtins(node)},
        },
        "admin": {"address": _socket(admin)},
        "dynamic_resources": {
            "ads_config": _ads(token),
            "cds_config": _discovered(),
            "lds_config": _discovered(),
        },
        "static_resources": {"clusters": [_control_plane(xds), {"name": INVALID, "type": "STATIC"}]},
        "stats_config": {"use_all_default_tags": False, "stats_matcher": {"inclusion_list": {"patterns": _stats()}}},
        "stats_flush_on_admin": True,
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors."
                        "downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 50_000,
                    },
                }
            ]
        },
    }


def node_id(node: Node) -> str:
    """Name a proxy: unique over the mesh."""
    if isinstance(node, GatewayNode):
        return f"gateway/{node.namespace}/{node.name}"
    return f"sidecar/{node.namespace}/{node.service}/{node.instance}"


def _service(node: Node) -> str:
    return f"{node.namespace}/{node.name if isinstance(node, GatewayNode) else node.service}"


def _ads(token: str) -> dict[str, Any]:
    service: dict[str, Any] = {
        "envoy_grpc": {
            "cluster_name": _CONTROL_PLANE,
            "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
        },
        "initial_metadata": [{"key": "authorization", "value": f"Bearer {token}"}],
    }
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [service],
    }


def _discovered() -> dict[str, Any]:
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": _FETCH_TIMEOUT}


def _control_plane(xds: Address) -> dict[str, Any]:
    options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {
            "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
        },
    }
    endpoint = {"endpoint": {"address": _socket(xds)}}
    return {
        "name": _CONTROL_PLANE,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {"cluster_name": _CONTROL_PLANE, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _stats() -> list[dict[str, Any]]:
    prefixes = [{"prefix": prefix} for prefix in _STATS_PREFIXES]
    return prefixes + [{"safe_regex": {"regex": part}} for part in _STATS_PARTS]


def _socket(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address.host, "port_value": address.port}}
