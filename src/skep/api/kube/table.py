"""Tables and partial metadata: the two forms besides whole objects that a reader may ask for. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from skep.api.kube.columns import columns_of
from skep.kinds import Kind

META_API = "meta.k8s.io/v1"


class Form(StrEnum):
    """How a reader wants objects."""

    OBJECT = "Object"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


def form_of(accept: str) -> Form:
    """Choose by the Accept header: the first form it names that is known; anything else gets objects as JSON."""
    for choice in accept.split(","):
        parts = [part.strip() for part in choice.split(";")]
        if parts[0] not in ("application/json", "application/*", "*/*"):
            continue
        wanted = dict(part.split("=", 1) for part in parts[1:] if "=" in part)
        shape = wanted.get("as", "")
        if wanted.get("g") == "meta.k8s.io" and shape == "Table" and wanted.get("v", "v1") in ("v1", "v1beta1"):
            return Form.TABLE
        if wanted.get("g") == "meta.k8s.io" and shape in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return Form.METADATA
        if not shape:
            return Form.OBJECT
    return Form.OBJECT


def table(kind: Kind, rows: Iterable[dict[str, Any]], revision: str) -> dict[str, Any]:
    """Render rows under the kind's columns."""
    return {
        "kind": "Table",
        "apiVersion": META_API,
        "metadata": {"resourceVersion": revision} if revision else {},
        "columnDefinitions": [
            {
                "name": column.name,
                "type": column.type,
                "format": "name" if column.name == "Name" else "",
                "description": column.description or column.name,
                "priority": column.priority,
            }
            for column in columns_of(kind)
        ],
        "rows": list(rows),
    }


def row(kind: Kind, document: Mapping[str, Any], now: datetime, include: str) -> dict[str, Any]:
    """Render one object as a row; `include` says how much of the object goes with it."""
    cells = {"cells": [column.show(document, now) for column in columns_of(kind)]}
    if include == "None":
        return cells
    return {**cells, "object": dict(document) if include == "Object" else partial(document)}


def partial(document: Mapping[str, Any]) -> dict[str, Any]:
    """Render only an object's metadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": META_API, "metadata": document.get("metadata", {})}
