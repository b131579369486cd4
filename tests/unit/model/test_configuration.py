"""What a ConfigMap, a Secret, a Namespace and an Event may hold."""

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from skep.model.configuration import (
    MAX_BYTES,
    ConfigMap,
    Event,
    Namespace,
    Secret,
    fold_string_data,
    secret_values,
    validate_configmap,
    validate_event,
    validate_namespace,
    validate_secret,
)
from skep.model.violation import Violation


def found(violations: Sequence[Violation]) -> list[tuple[str, str]]:
    return [(violation.path, violation.code) for violation in violations]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_namespace_needs_nothing() -> None:
    assert validate_namespace(Namespace()) == []


def test_a_configmap_of_text_and_bytes_is_valid() -> None:
    body = ConfigMap.model_validate({"data": {"app.yaml": "a: 1", "EMPTY": ""}, "binaryData": {"logo": b64("x")}})
    assert validate_configmap(body) == []


def test_a_configmap_names_every_bad_key_and_value_at_once() -> None:
    body = ConfigMap.model_validate(
        {"data": {"a b": "x", "..": "y", "same": "z"}, "binaryData": {"same": b64("z"), "raw": "not base64!"}}
    )
    assert found(validate_configmap(body)) == [
        ("data[a b]", "invalid"),
        ("data[..]", "invalid"),
        ("binaryData[same]", "duplicate"),
        ("binaryData[raw]", "invalid"),
    ]


@pytest.mark.parametrize("value", [1, True, None, ["x"], {"a": "b"}])
def test_a_value_that_is_not_text_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        ConfigMap.model_validate({"data": {"port": value}})


def test_too_much_is_refused_by_its_size() -> None:
    assert found(validate_configmap(ConfigMap(data={"big": "x" * (MAX_BYTES + 1)}))) == [("data", "too-long")]
    assert validate_configmap(ConfigMap(data={"big": "x" * MAX_BYTES})) == []


def test_a_secret_may_be_written_in_base64_and_in_plain_text() -> None:
    body = Secret.model_validate({"data": {"user": b64("ann"), "pass": b64("old")}, "stringData": {"pass": "new"}})
    assert validate_secret(body) == []
    assert secret_values(body) == {"user": b"ann", "pass": b"new"}


def test_base64_may_be_wrapped() -> None:
    body = Secret(data={"key": b64("x" * 90)[:76] + "\n" + b64("x" * 90)[76:]})
    assert validate_secret(body) == []
    assert secret_values(body) == {"key": b"x" * 90}


def test_a_tls_secret_needs_its_two_keys() -> None:
    assert found(validate_secret(Secret(type="kubernetes.io/tls", data={"tls.crt": b64("x")}))) == [
        ("data[tls.key]", "required")
    ]


def test_plain_text_in_data_is_named_with_its_remedy() -> None:
    (violation,) = validate_secret(Secret(data={"password": "hunter2!"}))
    assert violation.path == "data[password]"
    assert "stringData" in violation.message


def test_a_secret_does_not_print_its_values() -> None:
    body = Secret(data={"password": b64("hunter2")}, string_data={"pin": "1234"})
    for text in (repr(body), str(body)):
        assert "password" in text
        assert "1234" not in text
        assert b64("hunter2") not in text


def test_folding_moves_plain_text_into_data() -> None:
    folded = fold_string_data({"kind": "Secret", "data": {"a": b64("1")}, "stringData": {"a": "2", "b": "3"}})
    assert folded == {"kind": "Secret", "data": {"a": b64("2"), "b": b64("3")}}
    assert fold_string_data({"kind": "Secret", "data": {"a": "x"}}) == {"kind": "Secret", "data": {"a": "x"}}


def test_an_event_is_about_something_and_of_a_known_type() -> None:
    assert found(validate_event(Event(type="Alarm", message="x" * 1025))) == [
        ("involvedObject.kind", "required"),
        ("type", "invalid"),
        ("message", "too-long"),
    ]
    body = Event.model_validate({"involvedObject": {"kind": "Pod", "name": "a"}, "type": "Normal", "reason": "Started"})
    assert validate_event(body) == []
