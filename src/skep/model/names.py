"""The names things may have, after RFC 1123 and Kubernetes' label syntax, and the reference types made of them."""

import re
from typing import NewType

import msgspec

Namespace = NewType("Namespace", str)
"""A tenant: the namespace an object, an instance or a token lives in."""
ServiceName = NewType("ServiceName", str)
InstanceId = NewType("InstanceId", str)

SERVICE_LABEL = "skep.dev/service"
"""Every instance carries this label with the name of the service it registered under."""
GATEWAY_GROUP = "gateway.networking.k8s.io"
SKEP_GROUP = "skep.dev"

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def is_dns_label(text: str) -> bool:
    """Tell whether text is an RFC 1123 label: at most 63 of lower-case letters, digits and inner dashes."""
    return _DNS_LABEL.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """Tell whether text is an RFC 1123 subdomain: labels joined by dots, at most 253 characters."""
    return len(text) <= 253 and _DNS_SUBDOMAIN.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """Tell whether text may be a label's or annotation's key: `[prefix/]name`."""
    prefix, slash, name = text.rpartition("/")
    return (not slash or is_dns_subdomain(prefix)) and _LABEL_NAME.fullmatch(name) is not None


def is_label_value(text: str) -> bool:
    """Tell whether text may be a label's value: empty, or at most 63 characters."""
    return text == "" or _LABEL_NAME.fullmatch(text) is not None


class ObjectRef(msgspec.Struct, frozen=True, order=True):
    """Names one object in the store."""

    group: str
    kind: str
    namespace: str
    """Empty for cluster-scoped kinds."""
    name: str

    def __str__(self) -> str:
        """Render as `Kind namespace/name`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class ServiceId(msgspec.Struct, frozen=True, order=True):
    """Names one service in its namespace."""

    namespace: Namespace
    name: ServiceName

    def __str__(self) -> str:
        """Render as `namespace/name`."""
        return f"{self.namespace}/{self.name}"
