"""The kinds GatewayClass and Gateway: where calls from outside enter, and for which hostnames.

In: a parsed manifest. Out: the spec, and every violation of the Gateway API's rules for it. What the API answers with a
condition (an unknown protocol, a missing certificate) is no violation here.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from pydantic.config import JsonDict

from skep.model.names import GATEWAY_GROUP, is_dns_subdomain
from skep.model.resource import Record
from skep.model.violation import Violation
from skep.routing.reference import (
    LabelSelector,
    ObjectName,
    Port,
    check_group_kind,
    check_namespace,
    check_section,
    check_selector,
    check_unique,
)
from skep.routing.text import check_hostname

_CONTROLLER = re.compile(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
)
_PROTOCOL = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?|[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]+")
_LATER: JsonDict = {"unhonoured": "not supported yet"}


class ParametersReference(Record):
    """Names a controller's configuration."""

    group: str
    kind: str
    name: ObjectName
    namespace: str | None = None


class GatewayClassSpec(Record):
    """What the author wrote."""

    controller_name: str = Field(min_length=1, max_length=253)
    """Who carries Gateways of this class; Skep is `skep.dev/gateway-controller`."""
    parameters_ref: ParametersReference | None = None
    description: str | None = Field(default=None, max_length=64)


class GatewayClass(Record):
    """A class of Gateways that one controller carries."""

    spec: GatewayClassSpec


class CertificateReference(Record):
    """Names a Secret that holds a certificate and its key."""

    group: str = ""
    kind: str = "Secret"
    name: ObjectName
    namespace: str | None = None


class ListenerTLS(Record):
    """How a listener ends TLS."""

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: tuple[CertificateReference, ...] = Field(default=(), max_length=64)
    options: Mapping[str, str] = Field(default_factory=dict, max_length=16, json_schema_extra=_LATER)
    frontend_validation: Any = Field(default=None, json_schema_extra=_LATER)
    """Where older versions of the Gateway API ask for clients' certificates."""


class RouteNamespaces(Record):
    """From which namespaces routes may attach."""

    from_: Literal["All", "Selector", "Same"] = Field(default="Same", alias="from")
    selector: LabelSelector | None = None


class RouteKind(Record):
    """A kind of route."""

    group: str = GATEWAY_GROUP
    kind: str


class AllowedRoutes(Record):
    """Which routes may attach."""

    namespaces: RouteNamespaces = Field(default_factory=RouteNamespaces)
    kinds: tuple[RouteKind, ...] = Field(default=(), max_length=8)


class Listener(Record):
    """A port, a protocol and a hostname at which calls are taken."""

    name: str
    hostname: str | None = None
    """Empty for every hostname."""
    port: Port
    protocol: str = Field(min_length=1, max_length=255)
    tls: ListenerTLS | None = None
    allowed_routes: AllowedRoutes = Field(default_factory=AllowedRoutes)


class GatewayAddress(Record):
    """An address that the Gateway asks for."""

    type: str = "IPAddress"
    value: str = Field(default="", max_length=253)


class GatewaySpec(Record):
    """What the author wrote."""

    gateway_class_name: str = Field(min_length=1, max_length=253)
    listeners: tuple[Listener, ...] = Field(max_length=64, json_schema_extra={"minItems": 1})
    addresses: tuple[GatewayAddress, ...] = Field(default=(), max_length=16)
    infrastructure: Any = Field(default=None, json_schema_extra=_LATER)
    allowed_listeners: Any = Field(default=None, json_schema_extra=_LATER)
    tls: Any = Field(default=None, json_schema_extra=_LATER)
    default_scope: Any = Field(default=None, json_schema_extra=_LATER)


class Gateway(Record):
    """A place where calls from outside enter."""

    spec: GatewaySpec


def validate_gatewayclass(body: GatewayClass) -> list[Violation]:
    """Return everything that is wrong with a GatewayClass."""
    if _CONTROLLER.fullmatch(body.spec.controller_name) is None:
        return [
            Violation("spec.controllerName", "invalid", "must be a domain and a path, as skep.dev/gateway-controller")
        ]
    return []


def validate_gateway(body: Gateway) -> list[Violation]:
    """Return everything that is wrong with a Gateway."""
    spec = body.spec
    found: list[Violation] = []
    if not is_dns_subdomain(spec.gateway_class_name):
        found.append(Violation("spec.gatewayClassName", "invalid", "must be the name of a GatewayClass"))
    if not spec.listeners:
        found.append(Violation("spec.listeners", "required", "must hold at least one listener"))
    listeners = [(f"spec.listeners[{index}]", listener) for index, listener in enumerate(spec.listeners)]
    for path, listener in listeners:
        found += _check_listener(path, listener)
    found += check_unique(((f"{path}.name", listener.name) for path, listener in listeners), "the name of a listener")
    found += check_unique(
        ((path, (listener.port, listener.protocol, listener.hostname)) for path, listener in listeners),
        "the combination of port, protocol and hostname",
    )
    for index, address in enumerate(spec.addresses):
        found += _check_address(f"spec.addresses[{index}]", address)
    found += check_unique(
        (
            (f"spec.addresses[{index}].value", (address.type, address.value))
            for index, address in enumerate(spec.addresses)
            if address.value
        ),
        "an address",
    )
    return found


def _check_listener(path: str, listener: Listener) -> list[Violation]:
    found = check_section(f"{path}.name", listener.name)
    protocol = listener.protocol.upper()
    if _PROTOCOL.fullmatch(listener.protocol) is None:
        found.append(Violation(f"{path}.protocol", "invalid", "must be HTTP, HTTPS, TLS, TCP, UDP or domain/name"))
    if listener.hostname:
        found += check_hostname(f"{path}.hostname", listener.hostname)
        if protocol in ("TCP", "UDP"):
            found.append(Violation(f"{path}.hostname", "invalid", f"must not be set with protocol {protocol}"))
    found += _check_tls(f"{path}.tls", protocol, listener.tls)
    allowed = listener.allowed_routes
    if allowed.namespaces.from_ == "Selector":
        if allowed.namespaces.selector is None:
            needed = "must be set when from is Selector"
            found.append(Violation(f"{path}.allowedRoutes.namespaces.selector", "required", needed))
        else:
            found += check_selector(f"{path}.allowedRoutes.namespaces.selector", allowed.namespaces.selector)
    for index, kind in enumerate(allowed.kinds):
        found += check_group_kind(f"{path}.allowedRoutes.kinds[{index}]", kind.group, kind.kind)
    return found


def _check_tls(path: str, protocol: str, tls: ListenerTLS | None) -> list[Violation]:
    if tls is None:
        needs = protocol in ("HTTPS", "TLS")
        return [Violation(path, "required", f"must be set with protocol {protocol}")] if needs else []
    if protocol in ("HTTP", "TCP", "UDP"):
        return [Violation(path, "invalid", f"must not be set with protocol {protocol}")]
    found = []
    if protocol == "HTTPS" and tls.mode != "Terminate":
        found.append(Violation(f"{path}.mode", "invalid", "must be Terminate with protocol HTTPS"))
    if tls.mode == "Terminate" and not tls.certificate_refs and not tls.options:
        found.append(Violation(f"{path}.certificateRefs", "required", "must name a Secret when mode is Terminate"))
    for index, reference in enumerate(tls.certificate_refs):
        here = f"{path}.certificateRefs[{index}]"
        found += check_group_kind(here, reference.group, reference.kind)
        found += check_namespace(here, reference.namespace)
    return found


def _check_address(path: str, address: GatewayAddress) -> list[Violation]:
    if not address.value:
        return []
    if address.type == "Hostname":
        return check_hostname(f"{path}.value", address.value)
    if address.type == "IPAddress" and not is_ip_address(address.value):
        return [Violation(f"{path}.value", "invalid", "must be an IP address, such as 127.0.0.2")]
    return []


def is_ip_address(text: str) -> bool:
    """Tell whether text is an IPv4 or IPv6 address, without a zone."""
    if len(text) > 64 or "%" in text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
