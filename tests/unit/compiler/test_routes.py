"""One HTTPRoute, compiled."""

from skep.compiler.actions import Entry
from skep.compiler.routes import NO_ENTRY, compiled, findings, merged, upstreams_of
from skep.ir.match import PathPrefix, ValueMatch
from tests.support.declared import reject, resource_of, world
from tests.support.manifests import http_route, service, to

PLAIN = Entry("http", 8080)
ROUTE = http_route(rules=[{"matches": [{"path": {"value": "/a/"}}, {}], "backendRefs": [to("orders")]}])
REF = resource_of(ROUTE).ref


def test_each_match_is_a_route() -> None:
    found = world(ROUTE, service("orders")).get(compiled, REF, PLAIN)
    assert [item.route.name for item in found.ranked] == ["HTTPRoute/default/shop/0/0", "HTTPRoute/default/shop/0/1"]
    assert [item.route.match.path for item in found.ranked] == [PathPrefix("/a"), PathPrefix("/")]
    assert {item.route.origin.field for item in found.ranked} == {"spec.rules[0]"}
    assert found.upstreams == ("default/orders:80",)


def test_a_route_without_redirects_is_compiled_once_for_all_entries() -> None:
    memo = world(ROUTE, service("orders"))
    assert memo.get(compiled, REF, PLAIN) is memo.get(compiled, REF, NO_ENTRY)
    redirect = http_route(rules=[{"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]}])
    memo = world(redirect)
    assert memo.get(compiled, REF, PLAIN) != memo.get(compiled, REF, NO_ENTRY)


def test_only_the_first_condition_on_a_name_counts() -> None:
    headers = [{"name": "X-A", "value": "1"}, {"name": "x-a", "value": "2"}]
    memo = world(http_route(rules=[{"matches": [{"headers": headers}]}]))
    assert memo.get(compiled, REF, PLAIN).ranked[0].route.match.headers == (ValueMatch("x-a", "1"),)


def test_a_refused_route_is_left_out_but_still_spoken_of() -> None:
    memo = world(http_route(rules=[{"backendRefs": [to("gone")]}]))
    reject(memo, REF, 1, "no")
    assert memo.get(compiled, REF, PLAIN).ranked == ()
    assert memo.get(upstreams_of, REF) == ()
    assert [item.reason for item in memo.get(findings, REF).unresolved] == ["BackendNotFound"]


def test_merging_keeps_precedence() -> None:
    older, younger = http_route("b"), http_route("a", rules=[{}, {"matches": [{"method": "GET"}]}])
    older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    younger["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    memo = world(older, younger)
    parts = [memo.get(compiled, resource_of(item).ref, PLAIN) for item in (younger, older)]
    assert [route.name.split("/", 2)[2] for route in merged(parts)] == ["a/1/0", "b/0/0", "a/0/0"]
