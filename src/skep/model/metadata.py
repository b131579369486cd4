"""What may stand in `metadata`: names, labels, annotations, finalizers. Pure: a document's metadata in, violations out."""

from collections.abc import Mapping
from typing import Any

from skep.model.names import is_dns_label, is_dns_subdomain, is_label_key, is_label_value
from skep.model.violation import Violation

MAX_ANNOTATIONS_BYTES = 256 * 1024
KNOWN = frozenset(
    {
        "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers",
        "generateName", "generation", "labels", "managedFields", "name", "namespace", "ownerReferences",
        "resourceVersion", "selfLink", "uid",
    }
)  # fmt: skip
_TEXTS = ("name", "generateName", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
_NAME_RULE = (
    "a lowercase RFC 1123 {} must consist of lower case alphanumeric characters, '-'{} and start and end with one"
)
_KEY_RULE = "a key must be [prefix/]name: at most 63 alphanumeric characters, '-', '_' or '.'"


def validate_metadata(metadata: Any, *, namespaced: bool, label_name: bool) -> list[Violation]:
    """Return every violation in an object's metadata."""
    if not isinstance(metadata, Mapping):
        return [Violation("metadata", "invalid-type", "must be an object")]
    found = [
        Violation(f"metadata.{field}", "invalid-type", "must be a string")
        for field in _TEXTS
        if field in metadata and not isinstance(metadata[field], str)
    ]
    found += _name(metadata, label_name) + _namespace(metadata, namespaced)
    found += _labels(metadata.get("labels", {})) + _annotations(metadata.get("annotations", {}))
    found += _finalizers(metadata.get("finalizers", [])) + _owners(metadata.get("ownerReferences", []))
    generation = metadata.get("generation", 1)
    if not isinstance(generation, int) or isinstance(generation, bool):
        found.append(Violation("metadata.generation", "invalid-type", "must be an integer"))
    return found


def _name(metadata: Mapping[str, Any], label_name: bool) -> list[Violation]:
    name = metadata.get("name")
    if name is None or name == "":
        return [Violation("metadata.name", "required", "required value: name or generateName is required")]
    if not isinstance(name, str):
        return []
    if label_name:
        if not is_dns_label(name):
            return [
                Violation("metadata.name", "invalid", f"invalid value: {_NAME_RULE.format('label', '')}, at most 63")
            ]
    elif not is_dns_subdomain(name):
        rule = _NAME_RULE.format("subdomain", " or '.',")
        return [Violation("metadata.name", "invalid", f"invalid value: {rule}, at most 253")]
    return []


def _namespace(metadata: Mapping[str, Any], namespaced: bool) -> list[Violation]:
    namespace = metadata.get("namespace")
    if not isinstance(namespace, str) or not namespace:
        return []
    if not namespaced:
        return [Violation("metadata.namespace", "forbidden", "forbidden: not allowed on this type")]
    if not is_dns_label(namespace):
        return [Violation("metadata.namespace", "invalid", f"invalid value: {_NAME_RULE.format('label', '')}")]
    return []


def _labels(labels: Any) -> list[Violation]:
    if not isinstance(labels, Mapping):
        return [Violation("metadata.labels", "invalid-type", "must be an object of strings")]
    found = []
    for key, value in labels.items():
        if not is_label_key(key):
            found.append(Violation(f"metadata.labels[{key}]", "invalid", f"invalid key: {_KEY_RULE}"))
        if not isinstance(value, str):
            found.append(Violation(f"metadata.labels[{key}]", "invalid-type", "must be a string; quote it"))
        elif not is_label_value(value):
            rule = "at most 63 alphanumeric characters, '-', '_' or '.', starting and ending alphanumeric"
            found.append(Violation(f"metadata.labels[{key}]", "invalid", f"invalid value: a label is empty or {rule}"))
    return found


def _annotations(annotations: Any) -> list[Violation]:
    if not isinstance(annotations, Mapping):
        return [Violation("metadata.annotations", "invalid-type", "must be an object of strings")]
    found, size = [], 0
    for key, value in annotations.items():
        if not is_label_key(key.lower()):
            found.append(Violation(f"metadata.annotations[{key}]", "invalid", f"invalid key: {_KEY_RULE}"))
        if not isinstance(value, str):
            found.append(Violation(f"metadata.annotations[{key}]", "invalid-type", "must be a string; quote it"))
        else:
            size += len(key.encode()) + len(value.encode())
    if size > MAX_ANNOTATIONS_BYTES:
        found.append(Violation("metadata.annotations", "too-long", f"must have at most {MAX_ANNOTATIONS_BYTES} bytes"))
    return found


def _finalizers(finalizers: Any) -> list[Violation]:
    if not isinstance(finalizers, list):
        return [Violation("metadata.finalizers", "invalid-type", "must be a list of strings")]
    return [
        Violation(f"metadata.finalizers[{index}]", "invalid", f"must be a qualified name: {_KEY_RULE}")
        for index, name in enumerate(finalizers)
        if not isinstance(name, str) or not is_label_key(name)
    ]


def _owners(owners: Any) -> list[Violation]:
    if not isinstance(owners, list):
        return [Violation("metadata.ownerReferences", "invalid-type", "must be a list of objects")]
    found = []
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        if not isinstance(owner, Mapping):
            found.append(Violation(path, "invalid-type", "must be an object"))
            continue
        found += [
            Violation(f"{path}.{field}", "required", "required value")
            for field in ("apiVersion", "kind", "name", "uid")
            if not isinstance(owner.get(field), str) or not owner[field]
        ]
    return found
