"""What apply sends: what is wanted, less what was applied before and is not wanted any more."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.cli.apply import merge_patch, warnings_of


@pytest.mark.parametrize(
    ("last", "wanted", "live", "patch"),
    [
        ({}, {"a": 1}, {"a": 1, "b": 2}, {}),
        ({}, {"a": 2}, {"a": 1}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, {"b": None}),
        ({"b": 2}, {}, {}, {}),
        ({"x": {"a": 1}}, {"x": {"b": 1}}, {"x": {"a": 1, "set": "by others"}}, {"x": {"b": 1, "a": None}}),
        ({}, {"l": [1, 2]}, {"l": [1]}, {"l": [1, 2]}),
        ({}, {"x": {"a": 1}}, {"x": "text"}, {"x": {"a": 1}}),
        ({"x": 1}, {"x": {"a": 1}}, {"x": {"a": 1}}, {}),
    ],
)
def test_the_patch(last: dict[str, Any], wanted: dict[str, Any], live: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge_patch(last, wanted, live) == patch


DOCUMENTS = st.recursive(
    st.one_of(st.integers(0, 3), st.lists(st.integers(0, 2), max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


def patched(document: Any, patch: Any) -> Any:
    """Apply a patch as RFC 7396 says."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), value)
    return result


def holds(document: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(document, dict) and all(n in document and holds(document[n], v) for n, v in wanted.items())
    return bool(document == wanted)


@given(last=DOCUMENTS, wanted=DOCUMENTS, live=DOCUMENTS)
def test_after_the_patch_all_that_is_wanted_is_there_and_nothing_is_left_to_do(
    last: Any, wanted: Any, live: Any
) -> None:
    after = patched(live, merge_patch(last, wanted, live))
    assert holds(after, wanted)
    assert merge_patch(wanted, wanted, after) == {}
    for name in last:
        assert name in wanted or name not in after


def test_warnings_are_read_from_their_headers() -> None:
    headers = [("Warning", '299 - "image is \\"recorded\\", not used"'), ("Warning", '299 skep "second"')]
    response = httpx.Response(200, headers=headers)
    assert warnings_of(response) == ['image is "recorded", not used', "second"]


def test_a_warning_may_end_in_a_quotation() -> None:
    headers = [("Warning", '299 - "unknown field \\"spec.x\\""')]
    assert warnings_of(httpx.Response(200, headers=headers)) == ['unknown field "spec.x"']
