"""Reads the protobuf bodies that typed Kubernetes clients send, kubectl's `create` among them, into plain documents. Pure.

Field numbers are data (`protobuf_fields.json`, made by `scripts/kubernetes_fields.py` from the Go types). A field that
is not in it is refused by number, never dropped. Answers are always JSON, which those clients accept.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

from skep.errors import Invalid

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_MAX_DEPTH = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROOTS = {
    ("meta.k8s.io/v1", "DeleteOptions"): "meta.DeleteOptions",
    ("autoscaling/v1", "Scale"): "autoscaling.Scale",
    ("apps/v1", "Deployment"): "apps.Deployment",
}
Field = tuple[str, str, str]


def decode_protobuf(body: bytes) -> dict[str, Any]:
    """Return the object in a body, with its apiVersion and kind."""
    if not body.startswith(_MAGIC):
        raise Invalid("the body is not Kubernetes protobuf: it must start with 'k8s' and a zero byte")
    api_version = kind = ""
    raw = b""
    for number, value in _fields(body[len(_MAGIC) :]):
        if number == 1:
            names = {place: _text(name, "typeMeta") for place, name in _fields(_bytes(value, "typeMeta"))}
            api_version, kind = names.get(1, ""), names.get(2, "")
        elif number == 2:
            raw = _bytes(value, "raw")
        elif number == 3 and value:
            raise Invalid("contentEncoding: an encoded body is not taken")
    # Delete options go by the version of what they delete.
    name = "meta.DeleteOptions" if kind == "DeleteOptions" else _ROOTS.get((api_version, kind), f"core.{kind}")
    if name not in _table() or (name.startswith("core.") and api_version != "v1"):
        raise Invalid(f"protobuf bodies of {api_version[:80]} {kind[:80]} are not taken; send JSON")
    return {"apiVersion": api_version, "kind": kind, **_message(raw, name, kind, 0)}


@cache
def _table() -> Mapping[str, Mapping[int, Field]]:
    text = resources.files("skep.api.kube").joinpath("protobuf_fields.json").read_text(encoding="utf-8")
    return {
        name: {int(number): (field[0], field[1], field[2]) for number, field in fields.items()}
        for name, fields in json.loads(text).items()
    }


def _message(raw: bytes, name: str, path: str, depth: int) -> dict[str, Any]:
    """Read one message; zero values of fields that are not optional mean absent, as they do in JSON."""
    if depth > _MAX_DEPTH:
        raise Invalid(f"{path[:200]}: nested too deeply")
    known, result = _table()[name], dict[str, Any]()
    for number, value in _fields(raw):
        field = known.get(number)
        if field is None:
            raise Invalid(f"{path}: field {number} of {name} is not known here; send JSON")
        json_name, kind, marks = field
        at = f"{path}.{json_name or kind}"
        if "%" in marks:
            key, item = _pair(value, kind, at, depth)
            result.setdefault(json_name, {})[key] = item
        elif kind == "skip":
            continue
        elif "<" in marks:
            result |= _message(_bytes(value, at), kind, path, depth + 1)
        elif "*" in marks:
            result.setdefault(json_name, []).append(_value(value, kind, at, depth))
        else:
            read = _value(value, kind, at, depth)
            if "?" in marks or read not in ("", 0, False, None, {}):
                result[json_name] = read
    return result


def _pair(value: Any, kind: str, path: str, depth: int) -> tuple[str, Any]:
    entry = dict(_fields(_bytes(value, path)))
    item = entry.get(2, 0 if kind in ("int", "bool") else b"")
    return _text(entry.get(1, b""), path), _value(item, kind, path, depth)


def _value(value: Any, kind: str, path: str, depth: int) -> Any:
    match kind:
        case "str":
            return _text(value, path)
        case "bytes":
            return base64.b64encode(_bytes(value, path)).decode()
        case "int" | "byte":
            number = _int(value, path)
            return number - (1 << 64) if number >= 1 << 63 else number
        case "bool":
            return bool(_int(value, path))
        case "quantity":
            return _text(dict(_fields(_bytes(value, path))).get(1, b""), path)
        case "intorstring":
            parts = dict(_fields(_bytes(value, path)))
            return _text(parts.get(3, b""), path) if parts.get(1) else _value(parts.get(2, 0), "int", path, depth)
        case "time":
            return _time(_bytes(value, path), path)
        case _:
            return _message(_bytes(value, path), kind, path, depth + 1)


def _time(raw: bytes, path: str) -> str | None:
    parts = dict(_fields(raw))
    seconds = _value(parts.get(1, 0), "int", path, 0)
    if not parts:
        return None
    try:
        moment = _EPOCH + timedelta(seconds=seconds, microseconds=_int(parts.get(2, 0), path) // 1000)
    except OverflowError as error:
        raise Invalid(f"{path}: not a time") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{moment.microsecond:06d}Z" if moment.microsecond else "Z")


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Split a message into its fields: numbers for varints, bytes for the rest."""
    place = 0
    while place < len(raw):
        tag, place = _varint(raw, place)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(raw, place)
            yield number, value
            continue
        if wire == 2:
            length, place = _varint(raw, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise Invalid(f"the body is not valid protobuf: wire type {wire}")
        if place + length > len(raw):
            raise Invalid("the body is not valid protobuf: it ends early")
        yield number, raw[place : place + length]
        place += length


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(raw):
            break
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place
    raise Invalid("the body is not valid protobuf: a number ends early")


def _bytes(value: Any, path: str) -> bytes:
    if not isinstance(value, bytes):
        raise Invalid(f"{path}: not valid protobuf: bytes expected")
    return value


def _int(value: Any, path: str) -> int:
    if not isinstance(value, int):
        raise Invalid(f"{path}: not valid protobuf: a number expected")
    return value


def _text(value: Any, path: str) -> str:
    try:
        return _bytes(value, path).decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}: not valid UTF-8") from error
