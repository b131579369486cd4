"""Environments and command lines, as Kubernetes computes them."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.errors import Invalid
from skep.workloads.environment import Identity, SourceRef, build_env, command_line, expand, sources_of
from skep.workloads.template import Container

WHO = Identity(name="web-1", namespace="shop", uid="u", node="here", labels={"app": "web"}, annotations={"a/b": "c"})
FIXED = {"PORT": "4711"}


def container(**fields: Any) -> Container:
    return Container.model_validate({"name": "web", **fields})


def env_of(sources: dict[tuple[str, str], dict[str, Any] | None] | None = None, **fields: Any) -> dict[str, str]:
    return build_env(container(**fields), sources or {}, WHO, FIXED)


def secret(**entries: str) -> dict[str, Any]:
    return {"data": {name: base64.b64encode(value.encode()).decode() for name, value in entries.items()}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$((A))", "$((A))"),
    ],
)
def test_references_are_expanded(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


@given(st.text(alphabet="$()AB ", max_size=20))
def test_text_without_dollars_is_kept_and_escaping_is_exact(text: str) -> None:
    assert expand(text.replace("$", "$$"), {"A": "1"}) == text


def test_later_entries_win_and_see_earlier_ones() -> None:
    sources: dict[tuple[str, str], dict[str, Any] | None] = {
        ("configmaps", "c"): {"data": {"A": "map", "B": "map"}},
        ("secrets", "s"): secret(B="secret"),
    }
    env = env_of(
        sources,
        envFrom=[{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}, {"prefix": "P_", "configMapRef": {"name": "c"}}],
        env=[{"name": "A", "value": "own $(B) $(PORT) $(LATER)"}, {"name": "LATER", "value": "x"}, {"name": "PORT", "value": "80"}],
    )  # fmt: skip
    assert env == {
        "A": "own secret 4711 $(LATER)",
        "B": "secret",
        "P_A": "map",
        "P_B": "map",
        "LATER": "x",
        "PORT": "4711",
    }


def test_references_to_keys_and_fields() -> None:
    sources: dict[tuple[str, str], dict[str, Any] | None] = {
        ("configmaps", "c"): {"data": {"k": "v"}},
        ("secrets", "s"): {"data": {}, "stringData": {"k": "w"}},
    }
    fields = {
        "N": "metadata.name",
        "NS": "metadata.namespace",
        "L": "metadata.labels['app']",
        "X": "metadata.annotations['a/b']",
        "IP": "status.podIP",
        "NODE": "spec.nodeName",
    }
    env = env_of(
        sources,
        env=[
            {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "NO", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "none", "optional": True}}},
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        ],
    )
    expected = {"K": "v", "S": "w", "N": "web-1", "NS": "shop", "L": "web", "X": "c", "IP": "127.0.0.1", "NODE": "here"}
    assert env == {**expected, **FIXED}


@pytest.mark.parametrize(
    ("fields", "sources", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "c"}}]}, {}, "configmap 'c' not found"),
        (
            {"envFrom": [{"secretRef": {"name": "s"}}]},
            {("secrets", "s"): {"data": {"k": "!"}}},
            "entry 'k' of secret 's'",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            {("secrets", "s"): {}},
            "secret 's' has no entry 'k'",
        ),
        ({"envFrom": [{"configMapRef": {"name": "c"}}]}, {("configmaps", "c"): {"data": {"A": "\0"}}}, "NUL"),
    ],
)
def test_what_is_missing_is_said(fields: dict[str, Any], sources: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        env_of(sources, **fields)


def test_optional_sources_may_be_missing() -> None:
    assert env_of(envFrom=[{"configMapRef": {"name": "c", "optional": True}}]) == FIXED


def test_sources_are_named_once() -> None:
    one = container(
        envFrom=[{"configMapRef": {"name": "c"}}],
        env=[
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}},
        ],
    )
    assert sources_of(one) == [SourceRef("configmaps", "c"), SourceRef("secrets", "s", True)]


def test_command_line_is_command_then_arguments() -> None:
    one = container(command=["serve", "$(PORT)"], args=["$(WHO)", "$$(PORT)"])
    assert command_line(one, {"PORT": "80"}) == ("serve", "80", "$(WHO)", "$(PORT)")
