"""Label and field selectors as Kubernetes writes them: text in, a predicate out. Pure; a malformed one raises `Invalid`."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from skep.errors import Invalid
from skep.model.names import is_label_key, is_label_value

Document = Mapping[str, Any]
MAX_LENGTH = 16_384
_SET = re.compile(r"\s*(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*")
_EQUAL = re.compile(r"\s*(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)\s*")
_EXISTS = re.compile(r"\s*(?P<not>!?)\s*(?P<key>[^\s!=,()]+)\s*")

METADATA_FIELDS = ("metadata.name", "metadata.namespace")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "pods": ("status.phase", "spec.nodeName", "spec.restartPolicy", "status.podIP"),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "services": ("spec.clusterIP", "spec.type"),
    "instances.skep.dev": ("spec.service", "status.health"),
}


class Requirement(msgspec.Struct, frozen=True):
    """One term of a label selector."""

    key: str
    operator: str
    """in, notin, exists or absent."""
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, Any]) -> bool:
        """Tell whether the labels meet it; like Kubernetes, `notin` holds for a missing key."""
        if self.operator == "exists":
            return self.key in labels
        if self.operator == "absent":
            return self.key not in labels
        return (
            (labels.get(self.key) in self.values) == (self.operator == "in")
            if self.key in labels
            else (self.operator == "notin")
        )


class Selector(msgspec.Struct, frozen=True):
    """What a list or a watch is narrowed to."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[tuple[str, str, bool], ...] = ()
    """Path, value, and whether it must be equal."""

    @property
    def is_empty(self) -> bool:
        """Whether everything matches."""
        return not self.labels and not self.fields

    def matches(self, document: Document) -> bool:
        """Tell whether an object is selected."""
        labels = document.get("metadata", {}).get("labels") or {}
        return all(term.matches(labels) for term in self.labels) and all(
            (_field(document, path) == value) == equal for path, value, equal in self.fields
        )


def parse_selector(resource: str, labels: str, fields: str) -> Selector:
    """Read both selectors of a request to a resource."""
    return Selector(tuple(parse_labels(labels)), tuple(parse_fields(resource, fields)))


def parse_labels(text: str) -> list[Requirement]:
    """Read `a=b,c!=d,e in (f,g),h notin (i),j,!k`."""
    if len(text) > MAX_LENGTH:
        raise Invalid(f"labelSelector: longer than {MAX_LENGTH} characters")
    terms: list[Requirement] = []
    position = 0
    while position < len(text) and text.strip():
        term, position = _term(text, position)
        terms.append(term)
        if position < len(text):
            if text[position] != ",":
                raise Invalid(f"labelSelector: unable to parse {_shown(text)}: expected ',' at {position}")
            position += 1
            if not text[position:].strip():
                raise Invalid(f"labelSelector: unable to parse {_shown(text)}: it ends with a comma")
    return terms


def _term(text: str, position: int) -> tuple[Requirement, int]:
    readers: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Requirement]]] = (
        (_SET, lambda m: Requirement(m["key"], m["op"], frozenset(v.strip() for v in m["values"].split(",")))),
        (_EQUAL, lambda m: Requirement(m["key"], "notin" if m["op"] == "!=" else "in", frozenset({m["value"]}))),
        (_EXISTS, lambda m: Requirement(m["key"], "absent" if m["not"] else "exists")),
    )
    for pattern, read in readers:
        match = pattern.match(text, position)
        if match and (match.end() == len(text) or text[match.end()] == ","):
            term = read(match)
            if not is_label_key(term.key):
                raise Invalid(f"labelSelector: {_shown(term.key)} is not a valid label key")
            for value in sorted(term.values):
                if not is_label_value(value):
                    raise Invalid(f"labelSelector: {_shown(value)} is not a valid label value")
            return term, match.end()
    raise Invalid(f"labelSelector: unable to parse {_shown(text)} at {position}")


def parse_fields(resource: str, text: str) -> list[tuple[str, str, bool]]:
    """Read `metadata.name=x,status.phase!=y`; a field this resource does not select by is refused."""
    if len(text) > MAX_LENGTH:
        raise Invalid(f"fieldSelector: longer than {MAX_LENGTH} characters")
    known = (*METADATA_FIELDS, *FIELDS.get(resource, ()))
    terms: list[tuple[str, str, bool]] = []
    for part in text.split(","):
        if not part.strip():
            continue
        match = re.fullmatch(r"\s*([^=!\s]+)\s*(==|=|!=)(.*)", part, re.DOTALL)
        if match is None:
            raise Invalid(f"fieldSelector: unable to parse {_shown(part)}: expected field=value or field!=value")
        path, operator, value = match.groups()
        if path not in known:
            raise Invalid(f"fieldSelector: field label not supported: {path}; {resource} knows {', '.join(known)}")
        terms.append((path, value.strip(), operator != "!="))
    return terms


def _field(document: Document, path: str) -> str:
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None or isinstance(value, Mapping) else str(value)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else text[:97] + "...")
