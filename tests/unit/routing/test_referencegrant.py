"""What a ReferenceGrant may say."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.manifests import anything, grant, paths


def test_a_good_grant() -> None:
    assert paths(grant("shop", [("gateway.networking.k8s.io", "HTTPRoute", "app")], "orders")) == []
    assert paths(grant("shop", [("", "Service", "app")])) == []


def test_every_mistake_has_its_path() -> None:
    wrong = grant("shop", [("Bad_Group", "1", "Shop")])
    wrong["spec"]["to"] = [{"group": "", "kind": "no kind"}]
    assert paths(wrong) == ["spec.from[0].group", "spec.from[0].kind", "spec.from[0].namespace", "spec.to[0].kind"]
    empty = grant("shop", [])
    assert paths(empty) == ["spec.from"]


@given(st.dictionaries(st.sampled_from(["from", "to", "x"]), anything))
def test_no_spec_makes_validation_raise(spec: dict[str, Any]) -> None:
    paths(grant("shop", []) | {"spec": spec})
