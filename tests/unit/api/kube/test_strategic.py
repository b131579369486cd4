"""Strategic merge: the documented behaviour of lists with merge keys and of every directive."""

import contextlib
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.api.kube.strategic import strategic_merge
from skep.errors import Invalid

KEYS = {
    "metadata.finalizers": "",
    "spec.containers": "name",
    "spec.containers.env": "name",
    "spec.containers.ports": "containerPort",
    "status.conditions": "type",
}


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        (pod({"name": "a", "image": "1"}), pod({"name": "b"}), pod({"name": "a", "image": "1"}, {"name": "b"})),
        (pod({"name": "a", "image": "1", "tty": True}), pod({"name": "a", "image": "2"}),
         pod({"name": "a", "image": "2", "tty": True})),
        (pod({"name": "a"}, {"name": "b"}), pod({"name": "a", "$patch": "delete"}), pod({"name": "b"})),
        (pod({"name": "a"}, {"name": "b"}), pod({"$patch": "replace"}, {"name": "c"}), pod({"name": "c"})),
        (pod({"name": "a", "env": [{"name": "X", "value": "1"}]}),
         pod({"name": "a", "env": [{"name": "Y", "value": "2"}]}),
         pod({"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]})),
        (pod({"name": "a", "args": ["1", "2"]}), pod({"name": "a", "args": ["3"]}), pod({"name": "a", "args": ["3"]})),
        (pod({"name": "a", "image": "1"}), pod({"name": "a", "image": None}), pod({"name": "a"})),
        ({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
         {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
         {"spec": {"strategy": {"type": "Recreate"}}}),
        ({"spec": {"a": 1, "b": 2}}, {"spec": {"$patch": "replace", "c": 3}}, {"spec": {"c": 3}}),
        ({"spec": {"a": {"x": 1}, "b": 2}}, {"spec": {"a": {"$patch": "delete"}}}, {"spec": {"b": 2}}),
        ({"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"finalizers": ["c", "a"]}},
         {"metadata": {"finalizers": ["a", "b", "c"]}}),
        ({"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}},
         {"metadata": {"finalizers": ["b"]}}),
        (pod({"name": "a"}, {"name": "b"}, {"name": "c"}),
         {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [{"name": "c", "x": 1}]}},
         pod({"name": "c", "x": 1}, {"name": "a"}, {"name": "b"})),
        ({"metadata": {"finalizers": ["a", "b"]}},
         {"metadata": {"$setElementOrder/finalizers": ["c", "a", "b"], "finalizers": ["c"]}},
         {"metadata": {"finalizers": ["c", "a", "b"]}}),
        ({}, pod({"name": "new", "env": [{"name": "X"}]}), pod({"name": "new", "env": [{"name": "X"}]})),
        ({"status": {"conditions": [{"type": "A", "status": "False"}]}},
         {"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}},
         {"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}}),
    ],
)  # fmt: skip
def test_known_merges(before: dict[str, Any], patch: dict[str, Any], after: dict[str, Any]) -> None:
    kept = deepcopy(before)
    assert strategic_merge(before, patch, KEYS) == after
    assert before == kept


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        (pod({"image": "x"}), "spec.containers[0].name"),
        ({"spec": {"containers": ["a"]}}, "spec.containers[0]"),
        ({"spec": {"$patch": "explode"}}, "spec"),
        ({"spec": {"$retainKeys": "type"}}, "spec"),
        ({"spec": {"$setElementOrder/containers": {}}}, "spec.$setElementOrder/containers"),
        ([], "patch"),
    ],
)
def test_patch_that_cannot_be_merged_names_its_place(patch: Any, path: str) -> None:
    with pytest.raises(Invalid) as refused:
        strategic_merge(pod({"name": "a"}), patch, KEYS)
    assert [violation.path for violation in refused.value.violations] == [path]


names = st.sampled_from("abcd")
containers = st.lists(
    st.fixed_dictionaries({"name": names}, optional={"image": names}), max_size=4, unique_by=lambda c: c["name"]
)


@settings(max_examples=500, deadline=None)
@given(before=containers, patch=containers, order=st.lists(names, max_size=4, unique=True))
def test_merged_list_keeps_every_name_once_and_merging_again_changes_nothing(
    before: list[dict[str, str]], patch: list[dict[str, str]], order: list[str]
) -> None:
    document = {"spec": {"$setElementOrder/containers": [{"name": name} for name in order], "containers": patch}}
    once = strategic_merge(pod(*before), document, KEYS)
    found = [container["name"] for container in once["spec"]["containers"]]
    assert sorted(found) == sorted({c["name"] for c in (*before, *patch)})
    assert [name for name in found if name in order] == [name for name in order if name in found]
    assert strategic_merge(once, document, KEYS) == once


@settings(max_examples=500, deadline=None)
@given(patch=st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["spec", "containers", "name", "env", "$patch", "$retainKeys", "$setElementOrder/containers",
                         "$deleteFromPrimitiveList/containers", "finalizers", "metadata", "$x"]), inner, max_size=4),
))  # fmt: skip
def test_any_patch_is_merged_or_refused(patch: Any) -> None:
    with contextlib.suppress(Invalid):
        assert isinstance(strategic_merge(pod({"name": "a"}), patch, KEYS), dict)
