"""Golden cases, second half: what a case's `ir.yaml` becomes for Envoy, as `xds.yaml` writes it down, and back."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format

from skep.model.names import Namespace
from skep.xds.snapshot import Encoded
from skep.xds.translate import encode
from tests.support.goldens import Ir, load

KINDS: dict[str, Any] = {
    "listeners": listener_pb2.Listener,
    "routes": route_pb2.RouteConfiguration,
    "virtual_hosts": route_components_pb2.VirtualHost,
    "clusters": cluster_pb2.Cluster,
    "endpoints": endpoint_pb2.ClusterLoadAssignment,
    "secrets": secret_pb2.Secret,
}


def translated(ir: Ir) -> dict[str, list[dict[str, Any]]]:
    """Translate a case; return every resource as data."""
    resources: dict[str, Iterable[Encoded]] = {
        "listeners": map(encode.encode_edge_port, ir.edge_ports),
        "routes": map(encode.encode_routes, ir.routes),
        "virtual_hosts": [
            encode.encode_outbound_host(Namespace(h.namespace), h.authority, h.host)
            if h.host
            else encode.encode_unknown_host(f"outbound/{h.namespace}/{h.authority}")
            for h in ir.hosts
        ],
        "clusters": map(encode.encode_upstream, ir.upstreams),
        "endpoints": map(encode.encode_endpoints, ir.endpoints),
        "secrets": map(encode.encode_certificate, ir.certificates),
    }
    shown = {kind: [_shown(kind, encoded) for encoded in found] for kind, found in resources.items()}
    return {kind: found for kind, found in shown.items() if found}


def messages(case: Path) -> dict[str, list[Any]]:
    """Read a case's `xds.yaml` as messages; what has no body is left out."""
    document = load(case / "xds.yaml")
    return {
        kind: [json_format.ParseDict(item["body"], made()) for item in document.get(kind, []) if "body" in item]
        for kind, made in KINDS.items()
    }


def _shown(kind: str, encoded: Encoded) -> dict[str, Any]:
    resource = discovery_pb2.Resource.FromString(encoded.payload)
    shown: dict[str, Any] = {"name": encoded.name}
    if resource.aliases:
        shown["aliases"] = list(resource.aliases)
    if encoded.needs:
        shown["needs"] = list(encoded.needs)
    if resource.HasField("resource"):
        body = KINDS[kind]()
        assert resource.resource.Unpack(body)
        shown["body"] = json.loads(json_format.MessageToJson(body, preserving_proto_field_name=True))
    return shown
