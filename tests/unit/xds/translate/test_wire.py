"""Bytes put together by hand are what protobuf makes."""

from google.protobuf import any_pb2
from hypothesis import given
from hypothesis import strategies as st

from skep.xds.translate.wire import any_bytes, digest, field, pack, type_url


@given(st.text(max_size=300), st.binary(max_size=40_000))
def test_any_is_assembled_as_protobuf_would(url: str, value: bytes) -> None:
    out = any_pb2.Any.FromString(any_bytes(url, value))
    assert (out.type_url, out.value) == (url, value)


def test_high_field_numbers_take_two_bytes() -> None:
    assert field(16, b"x") == b"\x82\x01\x01x"


def test_packing_names_the_type() -> None:
    packed = pack(any_pb2.Any(type_url="x"))
    assert packed.type_url == type_url(any_pb2.Any) == "type.googleapis.com/google.protobuf.Any"
    assert digest(b"a", b"b") == digest(b"ab") != digest(b"a")
