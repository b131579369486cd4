"""The kinds that hold configuration and news: Namespace, ConfigMap, Secret, Event. Pure.

In: a parsed manifest. Out: the body and every violation of Kubernetes' rules for it.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from pydantic import StrictBool, StrictInt, StrictStr

from skep.model.resource import Record
from skep.model.violation import Violation

MAX_BYTES = 1024 * 1024
"""What one ConfigMap or Secret may hold."""
MAX_EVENT_MESSAGE = 1024
TLS_SECRET = "kubernetes.io/tls"  # noqa: S105  the name of a type
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_NEEDED_KEYS: Mapping[str, tuple[str, ...]] = {
    TLS_SECRET: ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


class NamespaceSpec(Record):
    """What the author wrote."""

    finalizers: tuple[StrictStr, ...] = ()
    """Set by Kubernetes; kept as it is."""


class Namespace(Record):
    """A tenant."""

    spec: NamespaceSpec = NamespaceSpec()


def validate_namespace(body: Namespace) -> list[Violation]:  # noqa: ARG001  every kind has one
    """Return nothing: a namespace is its name, whose rules are those of metadata."""
    return []


class ConfigMap(Record):
    """Settings of applications, as text and as bytes."""

    data: Mapping[str, StrictStr] | None = None
    binary_data: Mapping[str, StrictStr] | None = None
    """Base64."""
    immutable: StrictBool | None = None
    """Once true, writes that change what it holds are refused."""


def validate_configmap(body: ConfigMap) -> list[Violation]:
    """Check keys, base64 and size."""
    data, binary = body.data or {}, body.binary_data or {}
    found = _check_keys("data", data) + _check_keys("binaryData", binary)
    found += [
        Violation(f"binaryData[{key}]", "duplicate", "the key is in data too; leave it in one of them")
        for key in binary
        if key in data
    ]
    size = sum(len(value.encode()) for value in data.values())
    return found + _check_base64("binaryData", binary) + _check_size("data", size + _decoded_size(binary))


class Secret(Record):
    """What must not be shown: keys, certificates, passwords."""

    type: StrictStr = "Opaque"
    data: Mapping[str, StrictStr] | None = None
    """Base64."""
    string_data: Mapping[str, StrictStr] | None = None
    """Plain text for writers; it wins over `data`, and is folded into it when written."""
    immutable: StrictBool | None = None
    """Once true, writes that change what it holds are refused."""

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show the keys, never the values, in anything printed."""
        return [("type", self.type), ("keys", sorted({*(self.data or {}), *(self.string_data or {})}))]


def validate_secret(body: Secret) -> list[Violation]:
    """Check keys, base64, size, and the keys that its type needs."""
    data, plain = body.data or {}, body.string_data or {}
    found = _check_keys("data", data) + _check_keys("stringData", plain) + _check_base64("data", data)
    found += [
        Violation(f"data[{key}]", "required", f"a Secret of type {body.type} needs it")
        for key in _NEEDED_KEYS.get(body.type, ())
        if key not in data and key not in plain
    ]
    size = _decoded_size({key: value for key, value in data.items() if key not in plain})
    return found + _check_size("data", size + sum(len(value.encode()) for value in plain.values()))


def secret_values(body: Secret) -> dict[str, bytes]:
    """Return the decoded values of a Secret without violations."""
    values = {key: base64.b64decode(value) for key, value in (body.data or {}).items()}
    return values | {key: value.encode() for key, value in (body.string_data or {}).items()}


def fold_string_data(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a valid Secret's document as it is kept: `stringData` encoded into `data`."""
    folded = {name: value for name, value in document.items() if name != "stringData"}
    plain = document.get("stringData")
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        folded["data"] = {**(document.get("data") or {}), **encoded}
    return folded


class InvolvedObject(Record):
    """What an event is about."""

    api_version: StrictStr = ""
    kind: StrictStr = ""
    namespace: StrictStr = ""
    name: StrictStr = ""
    uid: StrictStr = ""
    resource_version: StrictStr = ""
    field_path: StrictStr = ""


class EventSeries(Record):
    """How often something has happened that goes on."""

    count: StrictInt = 0
    last_observed_time: StrictStr | None = None


class EventSource(Record):
    """Who saw it."""

    component: StrictStr = ""
    host: StrictStr = ""


class Event(Record):
    """Something that happened to an object, for people to read."""

    involved_object: InvolvedObject = InvolvedObject()
    reason: StrictStr = ""
    """One CamelCase word."""
    message: StrictStr = ""
    type: StrictStr = ""
    """Normal or Warning."""
    source: EventSource = EventSource()
    first_timestamp: StrictStr | None = None
    last_timestamp: StrictStr | None = None
    count: StrictInt = 0
    event_time: StrictStr | None = None
    action: StrictStr = ""
    related: InvolvedObject | None = None
    """A second object that it is about."""
    series: EventSeries | None = None
    reporting_component: StrictStr = ""
    reporting_instance: StrictStr = ""


def validate_event(body: Event) -> list[Violation]:
    """Check that it is about something, of a known type and short."""
    found: list[Violation] = []
    if not body.involved_object.kind:
        found.append(Violation("involvedObject.kind", "required", "say what the event is about"))
    if body.type not in ("", "Normal", "Warning"):
        found.append(Violation("type", "invalid", f"`{body.type}` must be Normal or Warning"))
    if len(body.message) > MAX_EVENT_MESSAGE:
        found.append(Violation("message", "too-long", f"must have at most {MAX_EVENT_MESSAGE} characters"))
    return found


def _check_keys(path: str, values: Mapping[str, str]) -> list[Violation]:
    rule = "a key is 1 to 253 of letters, digits, '-', '_' and '.', and neither '.' nor '..'"
    return [
        Violation(f"{path}[{key}]", "invalid", rule)
        for key in values
        if not _KEY.fullmatch(key) or key == "." or key.startswith("..")
    ]


def _check_base64(path: str, values: Mapping[str, str]) -> list[Violation]:
    rule = "must be base64; `base64 -w0` makes it, or write the plain text into stringData"
    return [Violation(f"{path}[{key}]", "invalid", rule) for key, value in values.items() if not _is_base64(value)]


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(_unwrapped(text), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _unwrapped(text: str) -> str:
    """Drop line ends, which Kubernetes lets pass: `base64` without -w0 writes them."""
    return text.replace("\r", "").replace("\n", "")


def _decoded_size(values: Mapping[str, str]) -> int:
    return sum(len(_unwrapped(value)) * 3 // 4 for value in values.values())


def _check_size(path: str, size: int) -> list[Violation]:
    return (
        [Violation(path, "too-long", f"must be at most {MAX_BYTES} bytes in all, is {size}")]
        if size > MAX_BYTES
        else []
    )
