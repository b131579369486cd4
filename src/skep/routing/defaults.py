"""The objects a new installation starts with: namespaces, our GatewayClass, and the Gateway `edge`. Pure documents."""

import base64
from typing import Any

from skep.model.names import GATEWAY_GROUP

CONTROLLER = "skep.dev/gateway-controller"
GATEWAY_CLASS = "skep"
EDGE = "edge"
EDGE_NAMESPACE = "default"
EDGE_SECRET = "edge-tls"  # noqa: S105  a name
NAMESPACES = ("default", "skep-system")

Document = dict[str, Any]


def namespaces() -> list[Document]:
    """Return the namespaces that always exist."""
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]


def gateway_class() -> Document:
    """Return the class of the Gateways that Skep carries."""
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": GATEWAY_CLASS},
        "spec": {"controllerName": CONTROLLER, "description": "Envoy at the edge, run by Skep"},
    }


def edge_secret(certificate_pem: str, key_pem: str) -> Document:
    """Return the Secret with the certificate that `edge` shows until its owner replaces it."""
    data = {"tls.crt": certificate_pem, "tls.key": key_pem}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": EDGE_SECRET, "namespace": EDGE_NAMESPACE},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in data.items()},
    }


def edge_gateway(address: str, http_port: int, https_port: int) -> Document:
    """Return the Gateway that routes of every namespace may attach to."""
    everyone = {"namespaces": {"from": "All"}}
    tls = {"mode": "Terminate", "certificateRefs": [{"name": EDGE_SECRET}]}
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "Gateway",
        "metadata": {"name": EDGE, "namespace": EDGE_NAMESPACE},
        "spec": {
            "gatewayClassName": GATEWAY_CLASS,
            "addresses": [{"type": "IPAddress", "value": address}],
            "listeners": [
                {"name": "http", "protocol": "HTTP", "port": http_port, "allowedRoutes": everyone},
                {"name": "https", "protocol": "HTTPS", "port": https_port, "tls": tls, "allowedRoutes": everyone},
            ],
        },
    }
