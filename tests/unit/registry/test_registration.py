from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.model.instance import Health, Instance, InstanceKey
from skep.registry.registration import parse_health, parse_instance, parse_key, validate_instance, wire_document

GOOD: dict[str, Any] = {
    "namespace": "default",
    "service": "orders",
    "id": "orders-0",
    "address": "10.0.0.7",
    "port": 9000,
}


def paths(document: object, path: str = "") -> list[str]:
    parsed = parse_instance(document, path)
    assert isinstance(parsed, list), parsed
    return [violation.path for violation in parsed]


def test_least_registration_gets_the_defaults_and_the_service_label() -> None:
    parsed = parse_instance(GOOD, "")
    assert isinstance(parsed, Instance)
    assert (parsed.protocol, parsed.weight, parsed.lease_s, parsed.health) == ("http", 100, 15.0, Health.PASSING)
    assert parsed.labels == {"skep.dev/service": "orders"}


def test_everything_given_comes_back() -> None:
    document = GOOD | {
        "targetPort": 8080,
        "protocol": "grpc",
        "weight": 7,
        "zone": "cn-east-1a",
        "labels": {"version": "v2"},
        "health": "starting",
        "leaseSeconds": 2.5,
        "source": "agent/host-1",
    }
    parsed = parse_instance(document, "")
    assert isinstance(parsed, Instance)
    labels = {"version": "v2", "skep.dev/service": "orders"}
    assert wire_document(parsed) == document | {"labels": labels}
    assert parse_instance(wire_document(parsed), "") == parsed


def test_all_mistakes_are_named_at_once_with_their_paths() -> None:
    document = {
        "namespace": "Default",
        "service": "a_b",
        "id": "-x",
        "address": "localhost",
        "port": 0,
        "targetPort": 70000,
        "protocol": "udp",
        "weight": 1001,
        "zone": "?",
        "labels": {"": "x", "version": "not ok"},
        "health": "fine",
        "leaseSeconds": 0.5,
        "colour": "red",
    }
    assert sorted(paths(document, "instances[3]")) == sorted(
        f"instances[3].{name}"
        for name in (
            "namespace", "service", "id", "address", "port", "targetPort", "protocol", "weight", "zone",
            "labels[]", "labels[version]", "health", "leaseSeconds", "colour",
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", True), ("port", 80.0), ("port", "80"), ("port", None), ("port", 10**30), ("port", 65536),
        ("weight", 0), ("weight", False), ("leaseSeconds", 10**400), ("leaseSeconds", 3601), ("leaseSeconds", True),
        ("leaseSeconds", float("nan")), ("labels", {"a": 1}), ("labels", []), ("labels", {"skep.dev/service": "x"}),
        ("address", "0.0.0.0"), ("address", "::"), ("address", "224.0.0.1"), ("address", "fe80::1%eth0"),
        ("address", "10.0.0.7\n"), ("address", ""), ("id", "a" * 250), ("service", "a" * 64), ("source", "a\nb"),
        ("namespace", "x\n"),
    ],
)  # fmt: skip
def test_wrong_value_is_refused_at_its_path(field: str, value: object) -> None:
    (path,) = paths({**GOOD, field: value})
    assert path.split("[")[0] == field


@pytest.mark.parametrize("missing", GOOD)
def test_missing_field_is_named_once(missing: str) -> None:
    assert paths({name: value for name, value in GOOD.items() if name != missing}) == [missing]


def test_body_must_agree_with_the_names_of_its_url() -> None:
    known = {"namespace": "default", "service": "orders", "id": "orders-0"}
    rest = {"address": "10.0.0.7", "port": 9000}
    assert isinstance(parse_instance(rest, "", known), Instance)
    assert isinstance(parse_instance({**rest, "id": "orders-0"}, "", known), Instance)
    parsed = parse_instance({**rest, "id": "other"}, "", known)
    assert isinstance(parsed, list)
    assert [v.path for v in parsed] == ["id"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["namespace", "service", "id", "address", "port", "targetPort", "protocol", "weight", "zone", "labels", "health",
     "leaseSeconds", "source", "more"]
)  # fmt: skip


@given(st.dictionaries(FIELDS, JSON), JSON)
def test_whatever_is_sent_is_either_right_or_refused_with_paths(changes: dict[str, Any], other: object) -> None:
    for document in (GOOD | changes, changes, other):
        parsed = parse_instance(document, "instances[0]")
        if isinstance(parsed, Instance):
            assert validate_instance(parsed) == []
            assert parse_instance(msgspec.json.decode(msgspec.json.encode(wire_document(parsed))), "") == parsed
        else:
            assert parsed
            assert all(v.path.startswith("instances[0]") for v in parsed)


def test_key_and_health_are_read_with_paths() -> None:
    assert isinstance(parse_key(GOOD, "x"), InstanceKey)
    missing = parse_key({"namespace": 1, "service": "a"}, "instances[0]")
    assert isinstance(missing, list)
    assert [v.path for v in missing] == ["instances[0].namespace", "instances[0].id"]
    assert isinstance(parse_key([], "instances[0]"), list)
    assert parse_health("draining", "health") is Health.DRAINING
    assert isinstance(parse_health({}, "health"), list)
