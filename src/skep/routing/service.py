"""The kind Service: which instances answer to a name, on which ports.

In: a parsed manifest. Out: the spec, and every violation of Kubernetes' rules for it. Fields that only make sense with a
cluster's network are declared and marked, so that a write which sets them is answered with a warning.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictInt
from pydantic.config import JsonDict

from skep.model.names import is_dns_label, is_dns_subdomain, is_label_key
from skep.model.resource import Record
from skep.model.violation import Violation
from skep.routing.reference import Port, check_labels, check_unique

_PORT_NAME = re.compile(r"(?=[a-z0-9-]*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_NO_CLUSTER_IP: JsonDict = {
    "unhonoured": "callers reach a Service by its name through their proxy; there are no cluster IPs"
}
_NO_NODES: JsonDict = {"unhonoured": "no node ports or load balancers are made; use a Gateway"}


class ServicePort(Record):
    """One port of a Service."""

    name: str = ""
    """Needed when there are several."""
    protocol: Literal["TCP", "UDP", "SCTP"] = Field(
        default="TCP",
        json_schema_extra={"unhonoured_values": {"UDP": "only TCP is carried", "SCTP": "only TCP is carried"}},
    )
    app_protocol: str | None = None
    """`http`, `kubernetes.io/h2c`, `grpc` or `tcp`; without it, what the instances registered with."""
    port: Port
    """What callers name."""
    target_port: StrictInt | str | None = None
    """The port the application listens on, by number; it matters when there are several ports."""
    node_port: StrictInt | None = Field(default=None, json_schema_extra=_NO_NODES)


class ServiceSpec(Record):
    """What the author wrote."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = Field(
        default="ClusterIP",
        json_schema_extra={
            "unhonoured_values": {"NodePort": _NO_NODES["unhonoured"], "LoadBalancer": _NO_NODES["unhonoured"]}
        },
    )
    selector: Mapping[str, str] | None = None
    """Labels of the instances that answer; without it, those that registered under the Service's name."""
    ports: tuple[ServicePort, ...] = ()
    external_name: str | None = None
    """With type ExternalName: a DNS name outside the mesh."""
    cluster_ip: str | None = Field(default=None, alias="clusterIP", json_schema_extra=_NO_CLUSTER_IP)
    cluster_ips: tuple[str, ...] | None = Field(default=None, alias="clusterIPs", json_schema_extra=_NO_CLUSTER_IP)
    ip_families: tuple[str, ...] | None = Field(default=None, json_schema_extra=_NO_CLUSTER_IP)
    ip_family_policy: str | None = Field(default=None, json_schema_extra=_NO_CLUSTER_IP)
    external_ips: tuple[str, ...] | None = Field(default=None, alias="externalIPs", json_schema_extra=_NO_NODES)
    load_balancer_ip: str | None = Field(default=None, alias="loadBalancerIP", json_schema_extra=_NO_NODES)
    load_balancer_class: str | None = Field(default=None, json_schema_extra=_NO_NODES)
    load_balancer_source_ranges: tuple[str, ...] | None = Field(default=None, json_schema_extra=_NO_NODES)
    allocate_load_balancer_node_ports: StrictBool | None = Field(default=None, json_schema_extra=_NO_NODES)
    external_traffic_policy: str | None = Field(default=None, json_schema_extra=_NO_NODES)
    health_check_node_port: StrictInt | None = Field(default=None, json_schema_extra=_NO_NODES)
    internal_traffic_policy: str | None = Field(
        default=None, json_schema_extra={"unhonoured_values": {"Local": "instances are chosen by weight on every host"}}
    )
    traffic_distribution: str | None = Field(
        default=None, json_schema_extra={"unhonoured": "instances are chosen by weight in every zone"}
    )
    session_affinity: str | None = Field(
        default=None, json_schema_extra={"unhonoured_values": {"ClientIP": "every request is balanced"}}
    )
    session_affinity_config: Any = Field(default=None, json_schema_extra={"unhonoured": "every request is balanced"})
    publish_not_ready_addresses: StrictBool | None = Field(
        default=None, json_schema_extra={"unhonoured": "only passing instances receive calls"}
    )


class Service(Record):
    """A name that callers use, and who answers to it."""

    spec: ServiceSpec = Field(default_factory=ServiceSpec)


def validate_service(body: Service) -> list[Violation]:
    """Return everything that is wrong with a Service."""
    spec = body.spec
    found = check_labels("spec.selector", spec.selector or {})
    if spec.type == "ExternalName":
        name = (spec.external_name or "").removesuffix(".")
        if not name:
            found.append(Violation("spec.externalName", "required", "must be set with type ExternalName"))
        elif not is_dns_subdomain(name):
            found.append(Violation("spec.externalName", "invalid", "must be a lower-case DNS name"))
    else:
        if spec.external_name:
            found.append(Violation("spec.externalName", "invalid", "may only be set with type ExternalName"))
        if not spec.ports and spec.cluster_ip != "None":
            found.append(Violation("spec.ports", "required", "must hold at least one port"))
    if len(spec.ports) > 100:
        return [*found, Violation("spec.ports", "too-many", "must hold at most 100 ports")]
    for index, port in enumerate(spec.ports):
        found += _check_port(f"spec.ports[{index}]", port, named=len(spec.ports) > 1)
    paths = [(f"spec.ports[{index}]", port) for index, port in enumerate(spec.ports)]
    found += check_unique(((f"{path}.name", port.name) for path, port in paths if port.name), "the name of a port")
    found += check_unique(((f"{path}.port", (port.port, port.protocol)) for path, port in paths), "port and protocol")
    return found


def _check_port(path: str, port: ServicePort, *, named: bool) -> list[Violation]:
    found = []
    if named and not port.name:
        found.append(Violation(f"{path}.name", "required", "must be set when there are several ports"))
    if port.name and not is_dns_label(port.name):
        found.append(Violation(f"{path}.name", "invalid", "must be a lower-case DNS label, at most 63 characters"))
    if port.app_protocol is not None and not is_label_key(port.app_protocol):
        found.append(Violation(f"{path}.appProtocol", "invalid", "must be a name such as http or kubernetes.io/h2c"))
    target = port.target_port
    if isinstance(target, int) and not 1 <= target <= 65535:
        found.append(Violation(f"{path}.targetPort", "invalid", "must be between 1 and 65535"))
    if isinstance(target, str) and _PORT_NAME.fullmatch(target) is None:
        found.append(
            Violation(f"{path}.targetPort", "invalid", "must be a port's number or name, at most 15 characters")
        )
    return found
