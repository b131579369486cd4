"""JSON patch and merge patch against the examples of their specifications, and against anything."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.api.kube.jsonpatch import json_patch, merge_patch
from skep.errors import Invalid


@pytest.mark.parametrize(
    ("before", "operations", "after"),
    [
        # RFC 6902, appendix A
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "qux"}], {"baz": "qux"}),
        ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"a": {}}}], {"foo": "bar", "child": {"a": {}}}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
        ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ],
)
def test_operations_of_the_specification(before: Any, operations: Any, after: Any) -> None:
    kept = deepcopy(before)
    assert json_patch(before, operations) == after
    assert before == kept


@pytest.mark.parametrize(
    ("operations", "place"),
    [
        ({"op": "add"}, "patch"),
        ([1], "[0]"),
        ([{"op": "frobnicate", "path": ""}], "[0].op"),
        ([{"op": "add", "path": "/a"}], "[0].value"),
        ([{"op": "add", "path": "a", "value": 1}], "[0].path"),
        ([{"op": "add", "path": "/x/y", "value": 1}], "[0].path"),
        ([{"op": "remove", "path": "/x"}], "[0].path"),
        ([{"op": "remove", "path": ""}], "[0].path"),
        ([{"op": "replace", "path": "/list/2", "value": 1}], "[0].path"),
        ([{"op": "add", "path": "/list/3", "value": 1}], "[0].path"),
        ([{"op": "add", "path": "/list/01", "value": 1}], "[0].path"),
        ([{"op": "test", "path": "/list/0", "value": True}], "[0].value"),
        ([{"op": "move", "from": "/list", "path": "/list/0"}], "[0].path"),
        ([{"op": "add", "path": "/ok", "value": 1}, {"op": "copy", "from": "/no", "path": "/z"}], "[1].from"),
    ],
)
def test_operation_that_does_not_fit_is_named(operations: Any, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        json_patch({"list": [1, 2]}, operations)
    assert [violation.path for violation in refused.value.violations] == [place]


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merges_of_the_specification(before: Any, patch: Any, after: Any) -> None:
    kept = deepcopy(before)
    assert merge_patch(before, patch) == after
    assert before == kept


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=3), inner, max_size=3),
)


@settings(max_examples=500, deadline=None)
@given(before=json_values, patch=json_values)
def test_merge_is_idempotent(before: Any, patch: Any) -> None:
    once = merge_patch(before, patch)
    assert merge_patch(once, patch) == once


@settings(max_examples=500, deadline=None)
@given(before=json_values, after=json_values)
def test_replacing_the_root_gives_the_value(before: Any, after: Any) -> None:
    assert json_patch(before, [{"op": "replace", "path": "", "value": after}]) == after
