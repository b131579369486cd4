"""What an HTTPRoute may say: each rule of the Gateway API, one mistake at a time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.manifests import anything, deep, http_route, paths, to, violations

REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
REWRITE = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}}}
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": to("audit")}}


def headers(**change: Any) -> dict[str, Any]:
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": change}


def rule(**parts: Any) -> list[str]:
    prefix = "spec.rules[0]."
    return [path.removeprefix(prefix) for path in paths(http_route(rules=[parts]))]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"rules": []},
        {"rules": [{"backendRefs": [to("orders", weight=0)]}]},
        {"parentRefs": [{"name": "edge"}, {"name": "edge", "port": 8080}, {"name": "other"}]},
        {"parentRefs": [{"group": "", "kind": "Service", "name": "orders"}], "hostnames": ["*.shop.example"]},
        {"rules": [{"filters": [MIRROR, MIRROR, headers(remove=["x-a"])], "backendRefs": [to("orders")]}]},
        {"rules": [{"filters": [REWRITE], "backendRefs": [to("orders")]}]},
        {"rules": [{"timeouts": {"request": "0s", "backendRequest": "10s"}}]},
        {"rules": [{"backendRefs": [{"group": "example.com", "kind": "Bucket", "name": "a"}]}]},
    ],
)
def test_good_routes(spec: dict[str, Any]) -> None:
    assert paths(http_route(**spec)) == []


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"name": "A"}, ["name"]),
        ({"matches": [{"path": {"value": "a"}}]}, ["matches[0].path.value"]),
        ({"matches": [{"path": {"type": "RegularExpression", "value": "("}}]}, ["matches[0].path.value"]),
        ({"matches": [{"path": {"type": "Suffix"}}]}, ["matches[0].path.type"]),
        ({"matches": [{"method": "get"}]}, ["matches[0].method"]),
        ({"matches": [{"headers": [{"name": "a", "value": ""}]}]}, ["matches[0].headers[0].value"]),
        ({"matches": [{"headers": [{"name": ":path", "value": "a"}]}]}, ["matches[0].headers[0].name"]),
        ({"matches": [{"headers": [{"name": "a", "value": "b"}] * 2}]}, ["matches[0].headers[1].name"]),
        ({"matches": [{"queryParams": [{"name": "a", "value": "b" * 1025}]}]}, ["matches[0].queryParams[0].value"]),
        (
            {"matches": [{"queryParams": [{"name": "a", "value": "[", "type": "RegularExpression"}]}]},
            ["matches[0].queryParams[0].value"],
        ),
        ({"filters": [{"type": "Magic"}]}, ["filters[0].type"]),
        ({"filters": [{"type": "URLRewrite"}]}, ["filters[0].urlRewrite"]),
        ({"filters": [REDIRECT | {"urlRewrite": {}}]}, ["filters[0].urlRewrite"]),
        ({"filters": [headers(), headers()]}, ["filters[1].type"]),
        ({"filters": [REDIRECT, {"type": "URLRewrite", "urlRewrite": {}}]}, ["filters"]),
        ({"filters": [REDIRECT], "backendRefs": [to("orders")]}, ["backendRefs"]),
        (
            {"filters": [headers(set=[{"name": "A", "value": "1"}], remove=["a"])]},
            ["filters[0].requestHeaderModifier.remove[0]"],
        ),
        ({"filters": [headers(remove=["host"])]}, ["filters[0].requestHeaderModifier.remove[0]"]),
        (
            {"filters": [headers(add=[{"name": "a", "value": "b\nc"}])]},
            ["filters[0].requestHeaderModifier.add[0].value"],
        ),
        (
            {"filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 200, "hostname": "*.a"}}]},
            ["filters[0].requestRedirect.hostname", "filters[0].requestRedirect.statusCode"],
        ),
        (
            {"filters": [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath"}}}]},
            ["filters[0].urlRewrite.path.replaceFullPath"],
        ),
        ({"filters": [REWRITE], "matches": [{}, {}]}, ["filters[0].urlRewrite.path"]),
        (
            {"backendRefs": [to("a", filters=[REWRITE])], "matches": [{"path": {"type": "Exact", "value": "/a"}}]},
            ["backendRefs[0].filters[0].urlRewrite.path"],
        ),
        (
            {"filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "a"}}}]},
            ["filters[0].requestMirror.backendRef.port"],
        ),
        (
            {
                "filters": [
                    {
                        "type": "RequestMirror",
                        "requestMirror": {"backendRef": to("a"), "percent": 1, "fraction": {"numerator": 101}},
                    }
                ]
            },
            ["filters[0].requestMirror", "filters[0].requestMirror.fraction.numerator"],
        ),
        ({"backendRefs": [{"name": "a"}]}, ["backendRefs[0].port"]),
        ({"backendRefs": [to("a", weight=-1)]}, ["backendRefs[0].weight"]),
        ({"backendRefs": [to("a", weight=1.5)]}, ["backendRefs[0].weight"]),
        ({"backendRefs": [to("a", namespace="A")]}, ["backendRefs[0].namespace"]),
        ({"backendRefs": [to("a")] * 17}, ["backendRefs"]),
        ({"timeouts": {"request": "1d"}}, ["timeouts.request"]),
        ({"timeouts": {"request": "1s", "backendRequest": "1m"}}, ["timeouts.backendRequest"]),
    ],
)
def test_every_mistake_of_a_rule_has_its_path(parts: dict[str, Any], found: list[str]) -> None:
    assert rule(**parts) == found


def test_parents_differ() -> None:
    same = http_route(parentRefs=[{"name": "edge"}, {"name": "edge"}])
    assert paths(same) == ["spec.parentRefs[1]"]
    half = http_route(parentRefs=[{"name": "edge"}, {"name": "edge", "sectionName": "http"}])
    assert paths(half) == ["spec.parentRefs[1].sectionName"]
    apart = http_route(parentRefs=[{"name": "edge", "sectionName": "a"}, {"name": "edge", "sectionName": "b"}])
    assert paths(apart) == []


@pytest.mark.parametrize("spec", [{}, {"spec": None}])
def test_a_route_without_a_spec(spec: dict[str, Any]) -> None:
    route = {key: value for key, value in http_route().items() if key != "spec"} | spec
    assert violations(route) == ["spec: required value"]


def test_limits_of_the_whole() -> None:
    assert paths(http_route(hostnames=["a.example"] * 17)) == ["spec.hostnames"]
    assert paths(http_route(rules=[{}] * 17)) == ["spec.rules"]
    assert paths(http_route(rules=[{"matches": [{}] * 43}] * 3)) == ["spec.rules"]
    assert paths(http_route(rules=[{"name": "a"}, {"name": "a"}])) == ["spec.rules[1].name"]


FIELDS = ["matches", "filters", "backendRefs", "timeouts", "name", "retry", "type", "path", "value", "headers", "x"]
shaped = st.recursive(
    anything,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["parentRefs", "hostnames", "rules", "x"]), shaped))
def test_no_spec_makes_validation_raise(spec: dict[str, Any]) -> None:
    paths(http_route(**spec))


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), shaped), max_size=3))
def test_no_rules_make_validation_raise(rules: list[dict[str, Any]]) -> None:
    paths(http_route(rules=rules))


def test_depth_does_not_make_validation_raise() -> None:
    assert paths(http_route(rules=[{"retry": deep()}])) == []
    assert paths(http_route(rules=deep())) == ["spec.rules"]
