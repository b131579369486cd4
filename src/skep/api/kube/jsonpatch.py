"""JSON patch (RFC 6902) and JSON merge patch (RFC 7396) over plain documents. Pure: the documents given are not changed."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from skep.api.kube.limits import MAX_COPIED_NODES, check_depth
from skep.errors import Invalid
from skep.model.violation import Violation

MAX_OPERATIONS = 10_000
MAX_COPIES = 100
OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a merge patch: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """Apply a list of operations, all or none; the first that does not fit raises `Invalid` with its place."""
    if not isinstance(operations, list):
        raise _bad("", "a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise _bad("", f"at most {MAX_OPERATIONS} operations")
    copies = sum(1 for operation in operations if isinstance(operation, Mapping) and operation.get("op") == "copy")
    if copies > MAX_COPIES:
        raise _bad("", f"at most {MAX_COPIES} copies")
    result = deepcopy(target)
    for index, operation in enumerate(operations):
        result = _apply(result, f"[{index}]", operation)
    return result


def _apply(target: Any, place: str, operation: Any) -> Any:
    if not isinstance(operation, Mapping):
        raise _bad(place, "an operation is an object with op and path")
    op = operation.get("op")
    if op not in OPERATIONS:
        raise _bad(f"{place}.op", f"must be one of {', '.join(OPERATIONS)}")
    path = _pointer(operation, f"{place}.path", "path")
    if op in ("add", "replace", "test") and "value" not in operation:
        raise _bad(f"{place}.value", f"required for {op}")
    if op in ("move", "copy"):
        source = _pointer(operation, f"{place}.from", "from")
        if op == "copy":
            check_depth(target, MAX_COPIED_NODES)
        value = deepcopy(_get(target, source, f"{place}.from"))
        if op == "move":
            if len(path) > len(source) and path[: len(source)] == source:
                raise _bad(f"{place}.path", "cannot move a value into itself")
            target = _remove(target, source, f"{place}.from")
        return _add(target, path, value, f"{place}.path")
    if op == "add":
        return _add(target, path, deepcopy(operation["value"]), f"{place}.path")
    if op == "remove":
        return _remove(target, path, f"{place}.path")
    found = _get(target, path, f"{place}.path")
    if op == "test":
        if not _equal(found, operation["value"]):
            raise _bad(f"{place}.value", "the test failed: the value there is another")
        return target
    return _replace(target, path, deepcopy(operation["value"]), f"{place}.path")


def _equal(left: Any, right: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _pointer(operation: Mapping[str, Any], place: str, field: str) -> list[str]:
    text = operation.get(field)
    if not isinstance(text, str):
        raise _bad(place, "must be a JSON pointer")
    if text and not text.startswith("/"):
        raise _bad(place, "a JSON pointer starts with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(items: list[Any], part: str, place: str, *, end: bool) -> int:
    if end and part == "-":
        return len(items)
    if not (part.isascii() and part.isdecimal()) or len(part) > 9 or (part[0] == "0" and part != "0"):
        raise _bad(place, f"{part!r} is not an index")
    index = int(part)
    if index >= len(items) + end:
        raise _bad(place, f"index {index} is beyond the list")
    return index


def _get(target: Any, path: list[str], place: str) -> Any:
    for part in path:
        if isinstance(target, dict) and part in target:
            target = target[part]
        elif isinstance(target, list):
            target = target[_index(target, part, place, end=False)]
        else:
            raise _bad(place, f"there is no {part!r} to follow")
    return target


def _add(target: Any, path: list[str], value: Any, place: str) -> Any:
    if not path:
        return value
    parent, last = _get(target, path[:-1], place), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(_index(parent, last, place, end=True), value)
    else:
        raise _bad(place, "its parent is neither an object nor a list")
    return target


def _replace(target: Any, path: list[str], value: Any, place: str) -> Any:
    if not path:
        return value
    parent, last = _get(target, path[:-1], place), path[-1]
    if isinstance(parent, list):
        parent[_index(parent, last, place, end=False)] = value
    else:
        parent[last] = value
    return target


def _remove(target: Any, path: list[str], place: str) -> Any:
    if not path:
        raise _bad(place, "the whole object cannot be removed")
    _get(target, path, place)
    parent, last = _get(target, path[:-1], place), path[-1]
    if isinstance(parent, list):
        del parent[_index(parent, last, place, end=False)]
    else:
        del parent[last]
    return target


def _bad(place: str, message: str) -> Invalid:
    return Invalid(violations=[Violation(place or "patch", "invalid", message)])
