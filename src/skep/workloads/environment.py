"""Computes a replica's environment and command line. In: its container, the ConfigMaps and Secrets, what is fixed; out: text. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from skep.errors import Invalid
from skep.workloads.template import Container, EnvVarSource, FieldRef, NameRef
from skep.workloads.template_rules import KEYED_FIELD_PATH

LOCAL_ADDRESS = "127.0.0.1"


class SourceRef(msgspec.Struct, frozen=True, order=True):
    """A ConfigMap or Secret that an environment is made from."""

    resource: str
    """`configmaps` or `secrets`."""
    name: str
    optional: bool = False


Sources = Mapping[tuple[str, str], Mapping[str, Any] | None]
"""Documents by resource and name; None for one that does not exist."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a replica may ask about itself."""

    name: str
    namespace: str
    uid: str
    node: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def sources_of(container: Container) -> list[SourceRef]:
    """Return the ConfigMaps and Secrets to read."""
    found = set()
    for group in container.env_from:
        for resource, ref in (("configmaps", group.config_map_ref), ("secrets", group.secret_ref)):
            if ref is not None:
                found.add(SourceRef(resource, ref.name, ref.optional))
    for variable in container.env:
        source = variable.value_from
        for resource, key in (
            ("configmaps", source.config_map_key_ref if source else None),
            ("secrets", source.secret_key_ref if source else None),
        ):
            if key is not None:
                found.add(SourceRef(resource, key.name, key.optional))
    return sorted(found)


def build_env(container: Container, sources: Sources, identity: Identity, fixed: Mapping[str, str]) -> dict[str, str]:
    """Return what a container's author asked for, with `fixed` on top; `Invalid` says what is missing.

    Later entries win; `$(NAME)` sees the entries before it and `fixed`.
    """
    found: dict[str, str] = {}
    for group in container.env_from:
        for resource, ref in (("configmaps", group.config_map_ref), ("secrets", group.secret_ref)):
            if ref is None:
                continue
            for key, value in _entries(resource, ref, sources).items():
                name = group.prefix + key
                if name and "=" not in name and "\0" not in name:
                    found[name] = value
    for variable in container.env:
        if variable.value_from is None:
            found[variable.name] = expand(variable.value or "", {**found, **fixed})
            continue
        given = _value_from(variable.value_from, sources, identity)
        if given is not None:
            found[variable.name] = given
    for name, value in found.items():
        if "\0" in value:
            raise Invalid(f"the value of {name} holds a NUL character")
    return {**found, **fixed}


def command_line(container: Container, env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command and its arguments with `$(NAME)` replaced."""
    return tuple(expand(word, env) for word in (*container.command, *container.args))


_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)` of known names as Kubernetes does; `$$` is a dollar sign, unknown names stay as written."""

    def replacement(match: "re.Match[str]") -> str:
        name = match.group(1)
        if name is None:
            return "$"
        return env.get(name, match.group(0))

    return _REFERENCE.sub(replacement, text)


def _value_from(source: EnvVarSource, sources: Sources, identity: Identity) -> str | None:
    for resource, ref in (("configmaps", source.config_map_key_ref), ("secrets", source.secret_key_ref)):
        if ref is None:
            continue
        entries = _entries(resource, ref, sources)
        if ref.key not in entries and not ref.optional:
            raise Invalid(f"{resource.removesuffix('s')} {ref.name!r} has no entry {ref.key!r}")
        return entries.get(ref.key)
    return _field(source.field_ref, identity) if source.field_ref else None


def _entries(resource: str, ref: NameRef, sources: Sources) -> dict[str, str]:
    document = sources.get((resource, ref.name))
    if document is None:
        if ref.optional:
            return {}
        raise Invalid(f"{resource.removesuffix('s')} {ref.name!r} not found")
    data = document.get("data") or {}
    if resource == "configmaps":
        return dict(data)
    found = {}
    for key, value in data.items():
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Invalid(f"entry {key!r} of secret {ref.name!r} is not base64 of text") from error
    return {**found, **(document.get("stringData") or {})}


def _field(ref: FieldRef, identity: Identity) -> str:
    keyed = KEYED_FIELD_PATH.fullmatch(ref.field_path)
    if keyed:
        entries: Mapping[str, str] = identity.labels if keyed.group(1) == "labels" else identity.annotations
        return entries.get(keyed.group(2), "")
    return {
        "metadata.name": identity.name,
        "metadata.namespace": identity.namespace,
        "metadata.uid": identity.uid,
        "spec.nodeName": identity.node,
        "spec.serviceAccountName": "default",
    }.get(ref.field_path, LOCAL_ADDRESS)
