"""What somebody would write by hand for one service: static Envoy configurations with the filters that Skep uses, no more."""

from typing import Any

_TYPE = "type.googleapis.com/"
_HTTP = _TYPE + "envoy.extensions.filters.http."


def gateway(port: int, backend: int, hostname: str) -> dict[str, Any]:
    """Return a gateway that sends a hostname's requests to the backend."""
    return _static(port, [_repeat_safely(), _fault(), _router()], backend, hostname, edge=True)


def outbound(port: int, callee: int, hostname: str) -> dict[str, Any]:
    """Return a caller's sidecar: one virtual host, known beforehand; the on-demand filter has nothing to do."""
    on_demand = {"name": "on_demand", "typed_config": {"@type": _HTTP + "on_demand.v3.OnDemand"}}
    return _static(port, [_repeat_safely(), _fault(), on_demand, _router()], callee, hostname)


def inbound(port: int, application: int) -> dict[str, Any]:
    """Return a callee's sidecar."""
    return _static(port, [_router()], application, "*")


def _static(
    port: int, filters: list[dict[str, Any]], upstream: int, hostname: str, *, edge: bool = False
) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "0s"}}
    manager: dict[str, Any] = {
        "@type": _TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "static",
        "http_filters": filters,
        "use_remote_address": edge,
        "normalize_path": edge,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {"virtual_hosts": [{"name": "service", "domains": [hostname], "routes": [route]}]},
    }
    listener = {
        "name": "static",
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    endpoint = {"endpoint": {"address": _address(upstream)}}
    limits = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
    cluster = {
        "name": "service",
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "service", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _router() -> dict[str, Any]:
    return {"name": "router", "typed_config": {"@type": _HTTP + "router.v3.Router", "suppress_envoy_headers": True}}


def _fault() -> dict[str, Any]:
    return {"name": "envoy.filters.http.fault", "typed_config": {"@type": _HTTP + "fault.v3.HTTPFault"}}


def _repeat_safely() -> dict[str, Any]:
    """Let a lost connection be tried again, unless the method forbids it."""
    skip = {
        "action": {
            "name": "skip",
            "typed_config": {"@type": _TYPE + "envoy.extensions.filters.common.matcher.action.v3.SkipFilter"},
        }
    }
    method = {
        "name": "method",
        "typed_config": {
            "@type": _TYPE + "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
            "header_name": ":method",
        },
    }
    header = {"header": {"key": "x-envoy-retry-on", "value": "reset"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    mutation = {
        "@type": _HTTP + "header_mutation.v3.HeaderMutation",
        "mutations": {"request_mutations": [{"append": header}]},
    }
    return {
        "name": "repeat_safely",
        "typed_config": {
            "@type": _TYPE + "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
            "xds_matcher": {
                "matcher_tree": {
                    "input": method,
                    "exact_match_map": {"map": {"POST": skip, "PATCH": skip, "CONNECT": skip}},
                }
            },
            "extension_config": {"name": "envoy.filters.http.header_mutation", "typed_config": mutation},
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
