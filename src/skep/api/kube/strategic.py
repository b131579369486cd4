"""Kubernetes' strategic merge patch over plain documents. Pure: in a document, a patch and the kind's merge keys.

A list named by `merge_keys` merges element by element (`""` as the key: a set of plain values); every other list is
replaced. Directives: `$patch`, `$retainKeys`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x`.
"""

from collections.abc import Mapping
from typing import Any

from skep.errors import Invalid
from skep.model.violation import Violation

MergeKeys = Mapping[str, str]
ORDER, DELETE_FROM = "$setElementOrder/", "$deleteFromPrimitiveList/"
_ABSENT = object()


def strategic_merge(target: dict[str, Any], patch: Any, keys: MergeKeys) -> dict[str, Any]:
    """Return the document after the patch."""
    if not isinstance(patch, dict):
        raise _bad("", "a strategic merge patch is an object")
    result = _merge(target, patch, "", keys)
    return result if isinstance(result, dict) else {}


def _merge(target: Any, patch: dict[str, Any], path: str, keys: MergeKeys) -> Any:
    directive = patch.get("$patch")
    if directive == "delete":
        return _ABSENT
    if directive == "replace":
        return _plain({key: value for key, value in patch.items() if key != "$patch"})
    if directive not in (None, "merge"):
        raise _bad(path, f"$patch must be merge, replace or delete, not {directive!r}")
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        retained = patch["$retainKeys"]
        if not isinstance(retained, list):
            raise _bad(path, "$retainKeys must be a list")
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        inner = f"{path}.{key}" if path else key
        if value is None:
            result.pop(key, None)
            continue
        merged = _merge_value(result.get(key), value, inner, keys)
        if merged is _ABSENT:
            result.pop(key, None)
        else:
            result[key] = merged
    _apply_list_directives(result, patch, path, keys)
    return result


def _merge_value(old: Any, new: Any, path: str, keys: MergeKeys) -> Any:
    if isinstance(new, dict):
        return _merge(old, new, path, keys)
    if isinstance(new, list) and path in keys:
        existing = old if isinstance(old, list) else []
        if keys[path] == "":
            return existing + [item for item in new if item not in existing]
        return _merge_list(existing, new, path, keys)
    return _plain(new)


def _merge_list(old: list[Any], new: list[Any], path: str, keys: MergeKeys) -> list[Any]:
    key = keys[path]
    for index, item in enumerate(new):
        if not isinstance(item, dict):
            raise _bad(f"{path}[{index}]", f"must be an object with {key!r}, by which this list merges")
    if any(item.get("$patch") == "replace" for item in new):
        return [_plain(item) for item in new if item.get("$patch") != "replace"]
    result = list(old)
    for index, item in enumerate(new):
        if key not in item:
            raise _bad(f"{path}[{index}].{key}", "required: this list merges by it")
        place = _find(result, key, item[key])
        merged = _merge(result[place] if place is not None else {}, item, path, keys)
        if merged is _ABSENT:
            if place is not None:
                del result[place]
        elif place is None:
            result.append(merged)
        else:
            result[place] = merged
    return result


def _find(items: list[Any], key: str, value: Any) -> int | None:
    for index, item in enumerate(items):
        if isinstance(item, dict) and item.get(key, _ABSENT) == value:
            return index
    return None


def _apply_list_directives(result: dict[str, Any], patch: dict[str, Any], path: str, keys: MergeKeys) -> None:
    for name, value in patch.items():
        if not name.startswith((ORDER, DELETE_FROM)):
            continue
        field = name.partition("/")[2]
        items = result.get(field)
        if not isinstance(value, list):
            raise _bad(f"{path}.{name}" if path else name, "must be a list")
        if not isinstance(items, list):
            continue
        if name.startswith(DELETE_FROM):
            result[field] = [item for item in items if item not in value]
        else:
            result[field] = _ordered(items, value, keys.get(f"{path}.{field}" if path else field, ""))


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Sort what the order names; what it does not name stays behind the neighbour it followed."""
    wanted = [entry.get(key) if key and isinstance(entry, dict) else entry for entry in order]

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    followers: dict[int, list[Any]] = {}
    named: list[tuple[int, Any]] = []
    last = -1
    for item in items:
        if identity(item) in wanted:
            last = wanted.index(identity(item))
            named.append((last, item))
        else:
            followers.setdefault(last, []).append(item)
    result = list(followers.get(-1, []))
    for rank, item in sorted(named, key=lambda pair: pair[0]):
        result.append(item)
        result.extend(followers.pop(rank, []))
    return result


def _plain(value: Any) -> Any:
    """Drop directives and nulls from what replaces or is new."""
    if isinstance(value, dict):
        if value.get("$patch") == "delete":
            return {}
        return {k: _plain(v) for k, v in value.items() if v is not None and not k.startswith("$")}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _bad(path: str, message: str) -> Invalid:
    return Invalid(violations=[Violation(path or "patch", "invalid", message)])
