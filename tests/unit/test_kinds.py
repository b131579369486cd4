"""The table of kinds, and how documents are parsed: all violations at once, with the paths a user would write."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.kinds import KINDS, Kind, kind_for, kind_for_resource, parse
from skep.model.notes import notes
from skep.model.resource import Resource
from tests.support.local_api import config_map, deployment, http_route, service


def kind(name: str) -> Kind:
    (found,) = (one for one in KINDS if one.kind == name)
    return found


def paths(name: str, document: dict[str, Any]) -> dict[str, str]:
    parsed = parse(kind(name), document)
    assert isinstance(parsed, list), parsed
    return {violation.path: violation.code for violation in parsed}


def test_table_is_consistent() -> None:
    for one in KINDS:
        assert kind_for(one.group, one.kind) is one
        assert kind_for_resource(one.resource) is one
        assert bool(one.merge_keys) is one.strategic or one.kind == "Instance"
    words = [word for one in KINDS for word in (one.plural, one.singular, *one.short_names)]
    assert len(words) == len(set(words))
    assert kind_for("", "Widget") is None


def test_good_document_becomes_a_resource() -> None:
    document = http_route()
    document["metadata"] |= {"namespace": "shop", "uid": "u", "generation": 3, "labels": {"a": "b"}}
    document["status"] = {"parents": []}
    parsed = parse(kind("HTTPRoute"), document)
    assert isinstance(parsed, Resource)
    assert str(parsed.ref) == "HTTPRoute shop/web"
    assert (parsed.meta.uid, parsed.meta.generation, parsed.meta.labels) == ("u", 3, {"a": "b"})
    assert parsed.status == {"parents": []}
    assert notes(parsed.body) == []


def test_wrong_types_are_named_like_kubernetes_paths() -> None:
    document = http_route()
    document["spec"]["rules"][0]["matches"][0]["path"]["type"] = 3
    document["spec"]["rules"].append({"backendRefs": [{"port": True}]})
    document["spec"]["parentRefs"] = "edge"
    assert paths("HTTPRoute", document) == {
        "spec.parentRefs": "invalid-type",
        "spec.rules[0].matches[0].path.type": "unsupported",
        "spec.rules[1].backendRefs[0].name": "required",
        "spec.rules[1].backendRefs[0].port": "invalid-type",
    }


def test_alternatives_of_a_field_are_one_violation_without_their_tags() -> None:
    found = parse(kind("Service"), service(ports=[{"port": 80, "targetPort": [1]}]))
    assert isinstance(found, list)
    (violation,) = found
    assert violation.path == "spec.ports[0].targetPort"
    assert violation.message == "invalid value: a list: must be an integer or invalid value: a list: must be a string"


def test_metadata_and_body_are_checked_together() -> None:
    document = service(ports=[{"port": 0}])
    document["metadata"] = {"name": "Web", "labels": {"a b": "c", "d": 3}, "annotations": [], "namespace": "-"}
    found = paths("Service", document)
    assert {
        "metadata.name",
        "metadata.namespace",
        "metadata.labels[a b]",
        "metadata.labels[d]",
        "metadata.annotations",
    } <= found.keys()
    assert "spec.ports[0].port" in found


@pytest.mark.parametrize("name", ["a.b", "a" * 64, "A", "", "-a", None])
def test_names_of_services_are_labels(name: str | None) -> None:
    document = service()
    document["metadata"]["name"] = name
    assert "metadata.name" in paths("Service", document)
    if name == "a.b":
        assert isinstance(parse(kind("ConfigMap"), config_map(name)), Resource)


def test_cluster_scoped_kinds_have_no_namespace() -> None:
    document = {"metadata": {"name": "a", "namespace": "b"}}
    assert paths("Namespace", document) == {"metadata.namespace": "forbidden"}


def test_unknown_and_unhonoured_fields_are_noted_with_their_paths() -> None:
    document = deployment()
    document["spec"]["revisionHistoryLimit"] = 3
    document["spec"]["template"]["spec"]["containers"][0]["colour"] = "red"
    document["shape"] = "round"
    parsed = parse(kind("Deployment"), document)
    assert isinstance(parsed, Resource)
    found = {note.path: note.reason for note in notes(parsed.body)}
    assert found["shape"] == found["spec.template.spec.containers[0].colour"] == ""
    assert found["spec.revisionHistoryLimit"]


def test_items_are_sorted_by_number() -> None:
    ports: list[dict[str, Any]] = [{"port": "x"} for _ in range(12)]
    found = parse(kind("Service"), service(ports=ports))
    assert isinstance(found, list)
    assert [violation.path for violation in found] == [f"spec.ports[{n}].port" for n in range(12)]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["spec", "metadata", "name", "rules", "ports", "template", "data", "labels", "status", "type"])
        | st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    document=st.dictionaries(st.sampled_from(["spec", "metadata", "data", "status", "x"]), anything),
    one=st.sampled_from(KINDS),
)
def test_any_document_is_parsed_or_told_its_violations(document: dict[str, Any], one: Kind) -> None:
    parsed = parse(one, document)
    if isinstance(parsed, list):
        assert parsed
        assert all(violation.path and violation.message for violation in parsed)
    else:
        assert parsed.meta.name
