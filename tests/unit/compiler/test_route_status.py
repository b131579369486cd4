"""What an HTTPRoute's author is told."""

from typing import Any

from skep.compiler import facts
from skep.compiler.effective import as_kind
from skep.compiler.memo import Memo
from skep.compiler.route_status import route_status
from skep.routing.httproute import HTTPRoute
from tests.support.declared import reject, resource_of, world
from tests.support.manifests import Document, gateway, gateway_class, http_route, listener, service, to

REF = resource_of(http_route()).ref
GUARD = {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "Guard", "name": "a"}}


def told(memo: Memo) -> list[dict[str, tuple[str, str]]]:
    route = as_kind(facts.resource(memo, REF), HTTPRoute)
    assert route is not None
    return [
        {item["type"]: (item["status"], item["reason"]) for item in parent["conditions"]}
        for parent in route_status(memo, route)["parents"]
    ]


def under(*parents: dict[str, Any], rules: list[dict[str, Any]] | None = None, more: tuple[Document, ...] = ()) -> Memo:
    listed = rules if rules is not None else [{"backendRefs": [to("orders")]}]
    route = http_route(parentRefs=list(parents), rules=listed)
    return world(gateway_class(), gateway(), service("orders"), route, *more)


GOOD = {
    "Accepted": ("True", "Accepted"),
    "ResolvedRefs": ("True", "ResolvedRefs"),
    "Programmed": ("True", "Programmed"),
}


def test_a_good_route() -> None:
    mesh = {"group": "", "kind": "Service", "name": "orders", "port": 80}
    assert told(under({"name": "edge"}, mesh)) == [GOOD, GOOD]


def test_parents_that_are_not_there() -> None:
    missing: list[dict[str, Any]] = [
        {"name": "gone"},
        {"group": "", "kind": "Service", "name": "gone"},
        {"group": "", "kind": "Service", "name": "orders", "port": 81},
        {"group": "", "kind": "Service", "name": "orders", "sectionName": "admin"},
        {"group": "example.com", "kind": "Mesh", "name": "a"},
    ]
    for conditions in told(under(*missing)):
        assert conditions["Accepted"] == ("False", "NoMatchingParent")
        assert conditions["Programmed"] == ("False", "NotAccepted")


def test_parents_of_other_controllers_are_left_to_them() -> None:
    other = gateway_class("example.com/other", "other")
    theirs = gateway(name="theirs") | {"spec": gateway()["spec"] | {"gatewayClassName": "other"}}
    assert told(under({"name": "theirs"}, {"name": "edge"}, more=(other, theirs))) == [GOOD]


def test_references_that_lead_nowhere() -> None:
    found = told(under({"name": "edge"}, rules=[{"backendRefs": [to("orders", namespace="shop")]}]))
    assert found == [GOOD | {"ResolvedRefs": ("False", "RefNotPermitted")}]


def test_rules_that_ask_for_what_is_unknown() -> None:
    guarded = {"filters": [GUARD]}
    some = told(under({"name": "edge"}, rules=[guarded, {"backendRefs": [to("orders")]}]))
    assert some == [GOOD | {"PartiallyInvalid": ("True", "UnsupportedValue")}]
    every = told(under({"name": "edge"}, rules=[guarded]))
    assert every == [GOOD | {"Accepted": ("False", "UnsupportedValue")}]


def test_a_refused_route() -> None:
    memo = under({"name": "edge"})
    reject(memo, REF, 1, "too large")
    assert told(memo) == [GOOD | {"Programmed": ("False", "Invalid")}]
    reject(memo, REF, 0, "an earlier generation")
    assert told(memo) == [GOOD]


def test_a_route_whose_listener_is_not_served() -> None:
    tls = {"certificateRefs": [{"name": "gone"}]}
    route = http_route(parentRefs=[{"name": "edge"}], rules=[])
    memo = world(gateway_class(), gateway(listener(protocol="HTTPS", tls=tls)), route)
    assert told(memo)[0]["Programmed"] == ("False", "Pending")
