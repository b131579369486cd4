"""Bodies that typed clients send. The encoder here writes what Go's does: zero values of plain fields included."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.api.kube.protobuf import decode_protobuf
from skep.errors import Invalid


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw) + field(3, "") + field(4, "")


def test_config_map_is_read_without_its_zero_values() -> None:
    metadata = field(1, "one") + field(2, "") + field(3, "shop") + field(5, "") + field(7, 0) + field(8, b"")
    labels = field(11, field(1, "a") + field(2, "b"))
    raw = field(1, metadata + labels) + field(2, field(1, "key") + field(2, "value")) + field(2, field(1, "empty"))
    assert decode_protobuf(body("v1", "ConfigMap", raw)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "one", "namespace": "shop", "labels": {"a": "b"}},
        "data": {"key": "value", "empty": ""},
    }


def test_bytes_times_and_alternatives_become_what_json_has() -> None:
    secret = decode_protobuf(body("v1", "Secret", field(2, field(1, "p") + field(2, b"\x00\xff"))))
    assert secret["data"] == {"p": "AP8="}
    ports = field(1, field(3, 80) + field(4, field(1, 0) + field(2, 8080) + field(3, "")))
    ports += field(1, field(3, 81) + field(4, field(1, 1) + field(2, 0) + field(3, "http")))
    spec = decode_protobuf(body("v1", "Service", field(2, ports)))["spec"]
    assert spec["ports"] == [{"port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "http"}]
    event = decode_protobuf(body("v1", "Event", field(6, field(1, 1_700_000_000) + field(2, 0))))
    assert event["firstTimestamp"] == "2023-11-14T22:13:20Z"


def test_optional_zero_is_kept_and_embedded_fields_are_inlined() -> None:
    probe = field(1, field(2, field(1, "/healthz") + field(2, field(1, 0) + field(2, 80)))) + field(2, 0) + field(4, 5)
    container = field(1, "main") + field(11, probe)
    spec = field(1, 0) + field(3, field(2, field(2, container)))
    deployment = decode_protobuf(body("apps/v1", "Deployment", field(2, spec)))
    assert deployment["spec"]["replicas"] == 0
    (read,) = deployment["spec"]["template"]["spec"]["containers"]
    assert read == {"name": "main", "readinessProbe": {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 5}}


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"{}", "not Kubernetes protobuf"),
        (body("v1", "Widget", b""), "Widget are not taken"),
        (body("apps/v2", "ConfigMap", b""), "not taken"),
        (body("v1", "ConfigMap", field(99, 1)), "field 99"),
        (body("v1", "ConfigMap", field(1, 1)), "ConfigMap.metadata"),
        (body("v1", "ConfigMap", field(1, field(1, b"\xff"))), "UTF-8"),
        (body("v1", "ConfigMap", b"\x0a\x05ab"), "ends early"),
        (b"k8s\x00" + b"\xff" * 12, "ends early"),
        (b"k8s\x00\x0b", "wire type"),
        (b"k8s\x00" + field(3, "gzip"), "contentEncoding"),
    ],
)
def test_body_that_cannot_be_read_is_refused(sent: bytes, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        decode_protobuf(sent)


words = st.text("abc-", min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(name=words, data=st.dictionaries(words, st.text(max_size=20), max_size=5))
def test_what_is_encoded_is_read_back(name: str, data: dict[str, str]) -> None:
    entries = b"".join(field(2, field(1, key) + field(2, value)) for key, value in data.items())
    read: dict[str, Any] = decode_protobuf(body("v1", "ConfigMap", field(1, field(1, name)) + entries))
    assert read["metadata"] == {"name": name}
    assert read.get("data", {}) == data
