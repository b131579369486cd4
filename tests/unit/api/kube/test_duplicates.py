"""Members that stand twice are found wherever they are, and quickly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.api.kube.duplicates import repeated_fields


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b'{"a": 1, "b": {"a": 1}}', []),
        (b'{"a": 1, "a": 2, "a": 3}', ["a"]),
        (b'{"a": {"b": [{"c": 1, "c": 2}, {}]}, "d": 1, "d": {}}', ["d", "a.b[0].c"]),
        (b'[{"a": 1, "a": 1}]', ["[0].a"]),
        (b"7", []),
    ],
)
def test_the_paths(body: bytes, paths: list[str]) -> None:
    assert repeated_fields(body) == paths


@given(st.recursive(st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_a_program_wrote_repeats_nothing(document: object) -> None:
    assert repeated_fields(json.dumps(document).encode()) == []


def test_many_members_are_counted_once() -> None:
    members = ",".join(f'"k{number % 150_000}":1' for number in range(300_000))
    assert len(repeated_fields(f"{{{members}}}".encode())) == 150_000
