"""What a registration may say on the wire: read with every violation and its path, and rendered back.

In: JSON values; out: records, or all that is wrong with them at once. Pure.
"""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from skep.model.instance import Health, Instance, InstanceKey
from skep.model.names import (
    SERVICE_LABEL,
    InstanceId,
    Namespace,
    ServiceName,
    is_dns_label,
    is_dns_subdomain,
    is_label_key,
    is_label_value,
)
from skep.model.violation import Violation
from skep.registry.spec import spec_document

PROTOCOLS = ("http", "http2", "grpc", "tcp")
MAX_LEASE_S = 3600
MAX_WEIGHT = 1000
MAX_NAME = 253
MAX_TEXT = 253
MAX_LABELS = 64

_Wrong = Callable[[str, str], None]
"""Notes a violation: the field, and what would be right."""
_HEALTHS = {str(health): health for health in Health}


def wire_document(instance: Instance) -> dict[str, Any]:
    """Render an instance as the registry's API shows it, without its lease."""
    return {
        "namespace": instance.namespace,
        **spec_document(instance),
        "labels": dict(instance.labels),
        "health": str(instance.health),
    }


def parse_instance(document: object, path: str, known: Mapping[str, str] | None = None) -> Instance | list[Violation]:
    """Read a registration; `known` holds the names its URL already says. All violations carry paths below `path`."""
    if not isinstance(document, dict):
        return [Violation(path or "(body)", "invalid", "must be a JSON object")]
    found: list[Violation] = []
    values: dict[str, Any] = dict(known or {})
    for name, value in document.items():
        at = _join(path, name)
        field = _FIELDS.get(name)
        if field is None:
            message = f"is not a field of a registration; known are {', '.join(_FIELDS)}"
            found.append(Violation(at, "unknown", message))
        elif not _fits(value, field[1]):
            found.append(Violation(at, "invalid", f"must be {_TYPE_NAMES[field[1]]}"))
        elif known and name in known and value != known[name]:
            found.append(Violation(at, "invalid", f"must be {known[name]!r} as the URL says, or absent"))
        else:
            values[field[0]] = value
    found.extend(
        Violation(_join(path, name), "required", "must be given")
        for name in _REQUIRED
        if name not in values and name not in document
    )
    instance = _build(values)
    wrongly_typed = {violation.path for violation in found}
    found.extend(v for v in validate_instance(instance, path) if v.path not in wrongly_typed)
    return found or instance


def _build(values: dict[str, Any]) -> Instance:
    """Make the record, with harmless stand-ins for what was wrong or missing and is reported already."""
    health = values.pop("health", "passing")
    labels = values.pop("labels", {})
    service = values.setdefault("service", "x")
    values.setdefault("namespace", "x")
    values.setdefault("id", "x")
    values.setdefault("address", "127.0.0.1")
    values.setdefault("port", 1)
    values.setdefault("source", "")
    # Bounded before it becomes a float: JSON has whole numbers that no float can hold.
    values["lease_s"] = float(min(max(values.get("lease_s", 15.0), -1), 1e9))
    if SERVICE_LABEL not in labels:
        labels = {**labels, SERVICE_LABEL: service}
    return Instance(labels=labels, health=cast("Health", _HEALTHS.get(health, health)), **values)


def validate_instance(instance: Instance, path: str = "") -> list[Violation]:
    """Return everything that is wrong with a registration."""
    found: list[Violation] = []

    def wrong(name: str, message: str) -> None:
        found.append(Violation(_join(path, name), "invalid", message))

    _check_names(instance, wrong)
    reason = _why_not_address(instance.address)
    if reason:
        wrong("address", reason)
    if not 1 <= instance.port <= 65535:
        wrong("port", "must be between 1 and 65535")
    if not 0 <= instance.target_port <= 65535:
        wrong("targetPort", "must be between 1 and 65535, or 0 when the same as port")
    if instance.protocol not in PROTOCOLS:
        wrong("protocol", f"must be one of {', '.join(PROTOCOLS)}")
    if not 1 <= instance.weight <= MAX_WEIGHT:
        wrong("weight", f"must be between 1 and {MAX_WEIGHT}")
    if not 1 <= instance.lease_s <= MAX_LEASE_S:
        wrong("leaseSeconds", f"must be between 1 and {MAX_LEASE_S} seconds")
    if not is_label_value(instance.zone):
        wrong("zone", "must be at most 63 letters, digits, '-', '_' or '.', starting and ending with a letter or digit")
    reason = why_not_source(instance.source)
    if reason:
        wrong("source", reason)
    if instance.health not in _HEALTHS:
        wrong("health", f"must be one of {', '.join(_HEALTHS)}")
    _check_labels(instance, wrong)
    return found


def _check_names(instance: Instance, wrong: _Wrong) -> None:
    """Check what names the instance."""
    for name, value in (("namespace", instance.namespace), ("service", instance.service)):
        if not is_dns_label(value):
            wrong(
                name,
                "must be at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit",
            )
    if not is_dns_subdomain(instance.id):
        wrong(
            "id",
            "must be lower-case letters, digits, '-' and '.', each part starting and ending with a letter or digit",
        )
    elif len(instance.service) + 1 + len(instance.id) > MAX_NAME:
        wrong("id", f"must leave `<service>.<id>` at most {MAX_NAME} characters long")


def _check_labels(instance: Instance, wrong: _Wrong) -> None:
    """Check the labels, the one that names the service among them."""
    if len(instance.labels) > MAX_LABELS:
        wrong("labels", f"must be at most {MAX_LABELS}")
        return
    for key, value in instance.labels.items():
        if not is_label_key(key):
            wrong(f"labels[{key}]", "must have a key of the form [prefix/]name, the name at most 63 characters")
        elif key == SERVICE_LABEL:
            # A wrong name of the service is reported once, where it was written.
            if value != instance.service:
                wrong(f"labels[{key}]", "must be the service it registers under, or absent")
        elif not is_label_value(value):
            wrong(
                f"labels[{key}]",
                "must be at most 63 letters, digits, '-', '_' or '.', starting and ending with a letter or digit",
            )


def why_not_source(text: str) -> str:
    """Say why a text does not name who speaks for an instance; empty when it does."""
    if len(text) > MAX_TEXT or not text.isprintable():
        return f"must be at most {MAX_TEXT} printable characters"
    return ""


def _why_not_address(text: str) -> str:
    """Say why a text is not an address that callers can reach; empty when it is one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "must be an IP address such as 10.0.0.7; names are not resolved"
    if "%" in text:
        return "must not have a zone index, which means nothing on another host"
    if address.is_unspecified or address.is_multicast:
        return "must be the address of one host"
    return ""


def parse_key(document: object, path: str) -> InstanceKey | list[Violation]:
    """Read the names of one instance."""
    if not isinstance(document, dict):
        return [Violation(path, "invalid", "must be a JSON object with namespace, service and id")]
    found: list[Violation] = []
    for name in _KEY_FIELDS:
        if name not in document:
            found.append(Violation(_join(path, name), "required", "must be given"))
        elif not isinstance(document[name], str):
            found.append(Violation(_join(path, name), "invalid", "must be a string"))
    if found:
        return found
    return InstanceKey(Namespace(document["namespace"]), ServiceName(document["service"]), InstanceId(document["id"]))


def parse_health(value: object, path: str) -> Health | list[Violation]:
    """Read a health word."""
    if isinstance(value, str) and value in _HEALTHS:
        return _HEALTHS[value]
    return [Violation(path, "invalid", f"must be one of {', '.join(_HEALTHS)}")]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fits(value: object, kind: str) -> bool:
    """Tell whether a JSON value is of a field's type; true is not a number."""
    match kind:
        case "text":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


_KEY_FIELDS = ("namespace", "service", "id")
_REQUIRED = (*_KEY_FIELDS, "address", "port")
_TYPE_NAMES = {
    "text": "a string",
    "int": "a whole number",
    "number": "a number",
    "texts": "an object whose values are strings",
}
_FIELDS: Mapping[str, Sequence[str]] = {
    "namespace": ("namespace", "text"),
    "service": ("service", "text"),
    "id": ("id", "text"),
    "address": ("address", "text"),
    "port": ("port", "int"),
    "targetPort": ("target_port", "int"),
    "protocol": ("protocol", "text"),
    "weight": ("weight", "int"),
    "zone": ("zone", "text"),
    "labels": ("labels", "texts"),
    "health": ("health", "text"),
    "leaseSeconds": ("lease_s", "number"),
    "source": ("source", "text"),
}
