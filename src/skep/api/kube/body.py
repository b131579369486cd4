"""Request bodies: size, media type and syntax are checked here, so that handlers see plain documents.

In: a request; out: JSON values that nest no deeper than allowed. Must never let a body cause anything but a 4xx.
"""

from typing import Any

import msgspec
import yaml
from starlette.requests import ClientDisconnect, Request

from skep.api.errors import Problem
from skep.api.kube.limits import MAX_BODY_BYTES, check_depth
from skep.api.kube.protobuf import MEDIA_TYPE as PROTOBUF
from skep.api.kube.protobuf import decode_protobuf
from skep.errors import Invalid

JSON_TYPES = ("", "application/json", "text/json")
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


async def read_body(request: Request) -> bytes:
    """Return the whole body, or refuse one that is too large before holding it."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise _too_large()
            chunks.append(chunk)
    except ClientDisconnect as gone:
        raise Invalid("the body ended early") from gone
    return b"".join(chunks)


def media_type(request: Request) -> str:
    """Return the body's media type without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decode_document(body: bytes, media: str) -> dict[str, Any]:
    """Read a body that must hold one object, as JSON, YAML or Kubernetes protobuf."""
    value = decode_protobuf(body) if media == PROTOBUF else decode_value(body, media)
    if not isinstance(value, dict):
        raise Invalid(f"the body must be a JSON object, not {_kind_of(value)}")
    return value


def decode_value(body: bytes, media: str) -> Any:
    """Read a body as JSON or YAML, whatever it holds."""
    if media in JSON_TYPES or (media.startswith("application/") and media.endswith("+json")):
        value = _decode_json(body)
    elif media in YAML_TYPES or media.endswith("+yaml"):
        value = _decode_yaml(body)
    else:
        known = ", ".join(filter(None, (*JSON_TYPES[1:2], YAML_TYPES[0])))
        raise Problem(415, "UnsupportedMediaType", f"the body's media type {media[:80]!r} is not taken; use {known}")
    check_depth(value)
    return value


def _decode_json(body: bytes) -> Any:
    if not body.strip():
        raise Invalid("the body is empty: a JSON object is needed")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Invalid(f"the body is not valid JSON: {error}") from error


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: no dates, no aliases (they can be grown to fill memory), no repeated documents."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.YAMLError(f"key {key.value[:80]!r} is given twice")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _decode_yaml(body: bytes) -> Any:
    """Read YAML and pass it through JSON, so that nothing JSON cannot say gets in."""
    try:
        value = yaml.load(body, Loader=_Loader)  # noqa: S506  a subclass of SafeLoader
        return msgspec.json.decode(msgspec.json.encode(value))
    except (yaml.YAMLError, msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Invalid(f"the body is not valid YAML: {str(error)[:300]}") from error


def _too_large() -> Problem:
    return Problem(413, "RequestEntityTooLarge", f"the body is larger than {MAX_BODY_BYTES} bytes")


def _kind_of(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else f"a {type(value).__name__}"
