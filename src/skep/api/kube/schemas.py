"""JSON schemas of the kinds in OpenAPI's dialect, from the pydantic models and the strings beneath their fields. Pure.

Pydantic's schema is JSON Schema; here nullable alternatives, titles and constants are put as OpenAPI 3.0 knows them, and
Kubernetes' extensions are added: group-version-kind, merge keys, int-or-string.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from skep.kinds import Kind
from skep.model.resource import Record

Schema = dict[str, Any]
META_NAME = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_PREFIX = "#/components/schemas/"
_KEPT = ("type", "format", "description", "enum", "required", "minimum", "maximum", "minLength", "maxLength", "pattern")
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_TIME = {"type": "string", "format": "date-time"}


def kind_schemas(kind: Kind, version: str) -> dict[str, Schema]:
    """Return a kind's schema and those it refers to, by name."""
    prefix = ".".join((*reversed(kind.group.split(".")), version)) if kind.group else f"core.{version}"
    _, definitions = models_json_schema([(kind.body, "validation")], ref_template="{model}")
    documented = _documented(kind.body)
    names = {
        name: f"{prefix}.{kind.kind}" + ("" if name == kind.body.__name__ else f".{name}")
        for name in definitions["$defs"]
    }
    schemas = {
        names[name]: _converted({**schema, "properties": _described(schema, documented.get(name, {}))}, names)
        for name, schema in definitions["$defs"].items()
    }
    root = schemas[f"{prefix}.{kind.kind}"]
    root["properties"] = {
        "apiVersion": {"type": "string", "description": "Group and version of the kind."},
        "kind": {"type": "string", "description": "The kind."},
        "metadata": {"allOf": [{"$ref": _PREFIX + META_NAME}], "description": "Name, labels and the like."},
        **root.get("properties", {}),
        "status": {
            "type": "object",
            "description": "What is observed; written by the platform.",
            "x-kubernetes-preserve-unknown-fields": True,
        },
    }
    root["x-kubernetes-group-version-kind"] = [{"group": kind.group, "version": version, "kind": kind.kind}]
    for path, key in kind.merge_keys.items():
        _mark_merge(root, path.split("."), key, schemas)
    return schemas


def meta_schema() -> Schema:
    """Return the schema of metadata, which every kind shares."""
    owner = {field: {"type": "string"} for field in ("apiVersion", "kind", "name", "uid")}
    flags = {field: {"type": "boolean"} for field in ("controller", "blockOwnerDeletion")}
    merge = {"x-kubernetes-patch-strategy": "merge"}
    return {
        "type": "object",
        "description": "What every object has: its name, its labels, when and how often it was written.",
        "properties": {
            "name": {"type": "string", "description": "Unique in its namespace."},
            "generateName": {"type": "string", "description": "A prefix to make a name from."},
            "namespace": {"type": "string", "description": "The tenant it belongs to."},
            "labels": {**_TEXTS, "description": "What selectors select by."},
            "annotations": {**_TEXTS, "description": "Anything else that tools want to keep with it."},
            "uid": {"type": "string"},
            "resourceVersion": {"type": "string", "description": "The revision that wrote it."},
            "generation": {"type": "integer", "format": "int64", "description": "Rises when what is wished changes."},
            "creationTimestamp": dict(_TIME),
            "deletionTimestamp": dict(_TIME),
            "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
            "finalizers": {"type": "array", "items": {"type": "string"}, **merge},
            "ownerReferences": {
                "type": "array",
                "items": {"type": "object", "properties": {**owner, **flags}},
                "x-kubernetes-patch-merge-key": "uid",
                **merge,
            },
            "managedFields": {"type": "array", "items": {"type": "object"}},
        },
    }


def _converted(schema: Schema, names: Mapping[str, str]) -> Schema:
    """Put one schema into OpenAPI's dialect."""
    if "$ref" in schema:
        reference = {"$ref": _PREFIX + names[schema["$ref"]]}
        return {"allOf": [reference], "description": schema["description"]} if "description" in schema else reference
    result = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if "properties" in schema:
        result["properties"] = {name: _converted(inner, names) for name, inner in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        result["items"] = _converted(schema["items"], names)
    elif schema.get("type") == "array":
        result["items"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _converted(schema["additionalProperties"], names)
    result |= _alternatives(schema, names)
    if not result.keys() - {"description"}:
        result["x-kubernetes-preserve-unknown-fields"] = True
    return result


def _alternatives(schema: Schema, names: Mapping[str, str]) -> Schema:
    options = [one for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())) if one.get("type") != "null"]
    if not options:
        return {}
    if len(options) == 1:
        inner = _converted(options[0], names)
        if "$ref" in inner and "description" in schema:
            inner = {"allOf": [inner]}
        return {**inner, "description": schema.get("description", inner.get("description", ""))}
    if {one.get("type") for one in options} == {"integer", "string"}:
        return {"type": "string", "format": "int-or-string"}
    return {"oneOf": [_converted(one, names) for one in options]}


def _mark_merge(schema: Schema, path: list[str], key: str, schemas: Mapping[str, Schema]) -> None:
    """Write a merge key where its path leads, if it leads anywhere."""
    for place, part in enumerate(path):
        schema = _resolved(schema, schemas)
        if schema.get("type") == "array":
            schema = _resolved(schema.get("items", {}), schemas)
        found = schema.get("properties", {}).get(part)
        if found is None:
            return
        if place == len(path) - 1 and found.get("type") == "array":
            found["x-kubernetes-patch-strategy"] = "merge"
            if key:
                found["x-kubernetes-patch-merge-key"] = key
        schema = found


def _resolved(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    for one in (schema, *schema.get("allOf", ())):
        if "$ref" in one:
            return schemas.get(one["$ref"].removeprefix(_PREFIX), {})
    return schema


def _described(schema: Schema, documented: Mapping[str, str]) -> dict[str, Schema]:
    """Add the strings beneath the fields, by their names on the wire."""
    return {
        name: {**inner, "description": documented[name]} if name in documented and "description" not in inner else inner
        for name, inner in schema.get("properties", {}).items()
    }


def _documented(body: type[Record]) -> dict[str, Mapping[str, str]]:
    """Return the documentation of every record a body is made of: record → wire name → text."""
    return {record.__name__: _field_texts(record) for record in _records(body, set())}


def _records(record: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if record in seen:
        return
    seen.add(record)
    yield record
    for field in record.model_fields.values():
        for inner in _mentioned(field.annotation):
            yield from _records(inner, seen)


def _mentioned(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _mentioned(argument)


@cache
def _field_texts(record: type[BaseModel]) -> Mapping[str, str]:
    """Read the strings beneath a record's fields from its source; without source there are none."""
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(record)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    texts = {}
    for field, below in pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            info = record.model_fields.get(field.target.id)
            if info is not None:
                texts[info.alias or field.target.id] = " ".join(below.value.value.split())
    return texts
