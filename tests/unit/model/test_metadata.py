from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.model.metadata import KNOWN, MAX_ANNOTATIONS_BYTES, validate_metadata


def paths(metadata: Any, *, namespaced: bool = True, label_name: bool = False) -> list[str]:
    return [violation.path for violation in validate_metadata(metadata, namespaced=namespaced, label_name=label_name)]


def test_good_metadata_has_no_violation() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "uid": "1"}
    metadata = {
        "name": "a.b",
        "namespace": "rides",
        "labels": {"app": "", "skep.dev/service": "coupons"},
        "annotations": {"Example.org/Note": "any text\n"},
        "finalizers": ["skep.dev/drain"],
        "ownerReferences": [owner],
        "generation": 2,
    }
    assert paths(metadata) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": ""}, "metadata.name"),
        ({"name": 7}, "metadata.name"),
        ({"name": "A"}, "metadata.name"),
        ({"name": "a", "namespace": "a.b"}, "metadata.namespace"),
        ({"labels": []}, "metadata.labels"),
        ({"labels": {"a b": "c"}}, "metadata.labels[a b]"),
        ({"labels": {"a": 1}}, "metadata.labels[a]"),
        ({"labels": {"a": "b c"}}, "metadata.labels[a]"),
        ({"annotations": "x"}, "metadata.annotations"),
        ({"annotations": {"a b": "c"}}, "metadata.annotations[a b]"),
        ({"annotations": {"a": True}}, "metadata.annotations[a]"),
        ({"annotations": {"a": "x" * MAX_ANNOTATIONS_BYTES}}, "metadata.annotations"),
        ({"finalizers": {}}, "metadata.finalizers"),
        ({"finalizers": ["ok/a", 7]}, "metadata.finalizers[1]"),
        ({"ownerReferences": {}}, "metadata.ownerReferences"),
        ({"ownerReferences": ["x"]}, "metadata.ownerReferences[0]"),
        ({"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "b"}]}, "metadata.ownerReferences[0].uid"),
        ({"generation": True}, "metadata.generation"),
    ],
)
def test_each_mistake_is_named_by_its_path(change: dict[str, Any], path: str) -> None:
    assert paths({"name": "a"} | change) == [path]


def test_all_mistakes_are_named_at_once() -> None:
    assert paths({"name": "A", "labels": {"": 1}, "generation": "x"}) == [
        "metadata.name",
        "metadata.labels[]",
        "metadata.labels[]",
        "metadata.generation",
    ]


def test_scope_and_kind_of_name_decide() -> None:
    assert paths({"name": "a", "namespace": "b"}, namespaced=False) == ["metadata.namespace"]
    assert paths({"name": "a.b"}, label_name=True) == ["metadata.name"]
    assert paths("text") == ["metadata"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), JSON))
def test_hostile_metadata_never_raises(metadata: dict[str, Any]) -> None:
    for path in paths(metadata):
        assert path.startswith("metadata")
