"""OpenAPI v2 and v3 of the kinds, made once from their models: what kubectl explains, validates and merges by.

In: the table of kinds; out: encoded documents, kept for the life of the process. Describes what is served, never more.
"""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec

from skep.api.kube.discovery import groups
from skep.api.kube.patch import patch_types
from skep.api.kube.schemas import META_NAME, kind_schemas, meta_schema
from skep.api.kube.target import subresources
from skep.kinds import KINDS, Kind

Document = dict[str, Any]
_QUERY = {
    "get": ("labelSelector", "fieldSelector", "resourceVersion", "watch"),
    "post": ("dryRun", "fieldManager", "fieldValidation"),
    "put": ("dryRun", "fieldManager", "fieldValidation"),
    "patch": ("dryRun", "fieldManager", "fieldValidation"),
    "delete": ("dryRun", "propagationPolicy"),
}
_ACTION = {"get": "get", "post": "post", "put": "put", "patch": "patch", "delete": "delete"}


class OpenApi:
    """The documents, encoded when first asked for."""

    def __init__(self, version: str) -> None:
        self._info = {"title": "Skep", "version": version}

    def index(self) -> bytes:
        """Answer GET /openapi/v3."""
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={hashlib.sha256(body).hexdigest()[:32].upper()}"}
            for path, body in self._encoded.items()
        }
        return msgspec.json.encode({"paths": paths})

    def v3(self, path: str) -> bytes | None:
        """Answer GET /openapi/v3/{path}, where a path is `api/v1` or `apis/{group}/{version}`."""
        return self._encoded.get(path)

    def v2(self) -> bytes:
        """Answer GET /openapi/v2."""
        return self._v2

    @cached_property
    def _encoded(self) -> dict[str, bytes]:
        return {
            _root(group, version)[1:]: msgspec.json.encode(self._document(group, version))
            for group, versions in groups().items()
            for version in versions
        }

    @cached_property
    def _v2(self) -> bytes:
        definitions: Document = {META_NAME: meta_schema()}
        paths: Document = {}
        for group, versions in groups().items():
            for version in versions:
                for kind in _served(group, version):
                    definitions |= kind_schemas(kind, version)
                    paths |= _paths(kind, version, body=False)
        document = {"swagger": "2.0", "info": self._info, "paths": paths, "definitions": definitions}
        return msgspec.json.encode(document).replace(b"#/components/schemas/", b"#/definitions/")

    def _document(self, group: str, version: str) -> Document:
        schemas: Document = {META_NAME: meta_schema()}
        paths: Document = {}
        for kind in _served(group, version):
            schemas |= kind_schemas(kind, version)
            paths |= _paths(kind, version, body=True)
        return {"openapi": "3.0.0", "info": self._info, "paths": paths, "components": {"schemas": schemas}}


def _served(group: str, version: str) -> Iterator[Kind]:
    return (kind for kind in KINDS if kind.group == group and version in kind.versions)


def _root(group: str, version: str) -> str:
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def _paths(kind: Kind, version: str, *, body: bool) -> Document:
    root = _root(kind.group, version)
    base = f"{root}/namespaces/{{namespace}}" if kind.namespaced else root
    collection = ("get",) if kind.read_only else ("get", "post", "delete")
    single = ("get",) if kind.read_only else ("get", "put", "patch", "delete")
    paths = {
        f"{base}/{kind.plural}": _operations(kind, version, collection, body=body),
        f"{base}/{kind.plural}/{{name}}": _operations(kind, version, single, body=body),
    }
    if kind.namespaced:
        paths[f"{root}/{kind.plural}"] = _operations(kind, version, ("get",), body=body)
    if "status" in subresources(kind):
        methods = ("get",) if kind.read_only else ("get", "put", "patch")
        paths[f"{base}/{kind.plural}/{{name}}/status"] = _operations(kind, version, methods, body=body)
    return paths


def _operations(kind: Kind, version: str, methods: tuple[str, ...], *, body: bool) -> Document:
    gvk = {"group": kind.group, "version": version, "kind": kind.kind}
    return {method: _operation(kind, method, gvk, body=body) for method in methods}


def _operation(kind: Kind, method: str, gvk: dict[str, str], *, body: bool) -> Document:
    typed: Document = {"schema": {"type": "string"}} if body else {"type": "string"}
    operation: Document = {
        "description": f"{_ACTION[method]} {kind.kind}",
        "parameters": [{"name": name, "in": "query", "uniqueItems": True, **typed} for name in _QUERY[method]],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": _ACTION[method],
        "x-kubernetes-group-version-kind": gvk,
    }
    if body:
        for parameter in operation["parameters"]:
            parameter.pop("uniqueItems")
    if method == "patch":
        media = patch_types(kind.strategic)
        if body:
            operation["requestBody"] = {"content": {name: {"schema": {"type": "object"}} for name in media}}
        else:
            operation["consumes"] = list(media)
    return operation
