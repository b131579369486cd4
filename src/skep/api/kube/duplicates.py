"""Finds members that stand twice in one JSON object. In: a body that was read as JSON before; out: their paths. Pure.

The last of them counts, as everywhere with JSON; strict callers want to hear that the others do not.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any


class _Repeating(dict[str, Any]):
    """An object of which some members stand twice."""

    again: tuple[str, ...] = ()


def repeated_fields(body: bytes) -> list[str]:
    """Return the path of every member that stands twice, as `spec.ports[0].name`."""
    repeating: list[_Repeating] = []

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        kept = _Repeating(members)
        kept.again = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        repeating.append(kept)
        return kept

    document = json.loads(body, object_pairs_hook=read)
    return list(_paths(document, "")) if repeating else []


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Repeating):
        yield from (f"{path}.{name}" if path else name for name in value.again)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, f"{path}[{index}]")
