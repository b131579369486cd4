"""A host for `skep.agent.envoy` whose Envoys answer by themselves: no control plane is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skep.agent.admin import Admin
from skep.agent.envoy import EnvoyHost, Lifetimes
from skep.agent.epochs import ProxyRecord
from skep.agent.state import StateFolder
from skep.clock import SystemClock
from skep.model.node import Address, Node, SidecarNode
from skep.workloads.runtime import Runtime

_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def static_bootstrap(node: Node, admin: Address) -> Mapping[str, Any]:
    """Answer every request on the sidecar's listeners with 200."""
    assert isinstance(node, SidecarNode)
    addresses = {"outbound": node.outbound} | {f"inbound/{each.listen.port}": each.listen for each in node.inbound}
    return {
        "admin": {"address": _socket(admin)},
        "static_resources": {"listeners": [_listener(name, address) for name, address in addresses.items()]},
    }


def _socket(address: Address) -> Mapping[str, Any]:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _listener(name: str, address: Address) -> Mapping[str, Any]:
    answer = {"status": 200, "body": {"inline_string": "ok"}}
    hosts = [{"name": "any", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": answer}]}]
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}
    hcm = {"@type": _HCM, "stat_prefix": name, "route_config": {"virtual_hosts": hosts}, "http_filters": [router]}
    return {
        "name": name,
        "address": _socket(address),
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": hcm}]}],
    }


def static_host(folder: Path, runtime: Runtime, admin: Admin) -> EnvoyHost:
    """Build the host; its Envoys leave two seconds after a hot restart."""
    records = StateFolder(folder / "proxies", ProxyRecord)
    (folder / "envoy").mkdir(exist_ok=True)
    return EnvoyHost(
        runtime, admin, SystemClock(), records, folder / "envoy", static_bootstrap, Lifetimes(drain_s=1, leave_s=2)
    )
