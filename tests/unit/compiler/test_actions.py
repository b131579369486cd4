"""What a rule does with a request."""

from typing import Any

import pytest

from skep.compiler.actions import Entry, Notes, action_of, look_up
from skep.compiler.memo import Memo
from skep.ir.route import Action, Backend, Forward, Mirror, Redirect, Respond
from skep.routing.httproute_spec import BackendReference, HTTPRouteRule
from tests.support.declared import world
from tests.support.manifests import service, to

PLAIN = Entry("http", 8080)


def act(memo: Memo, entry: Entry = PLAIN, **rule: Any) -> tuple[Action, Notes]:
    notes = Notes("spec.rules[0]")
    return action_of(memo, "default", HTTPRouteRule.model_validate(rule), entry, notes), notes


def redirected(entry: Entry, **redirect: Any) -> int:
    action, _ = act(world(), entry, filters=[{"type": "RequestRedirect", "requestRedirect": redirect}])
    assert isinstance(action, Redirect)
    return action.port


@pytest.mark.parametrize(
    ("entry", "redirect", "port"),
    [
        (Entry("http", 80), {"scheme": "https"}, 0),
        (PLAIN, {"scheme": "https"}, 443),
        (PLAIN, {"scheme": "https", "hostname": "a.example"}, 0),
        (PLAIN, {"hostname": "a.example"}, 8080),
        (Entry("https", 443), {"hostname": "a.example"}, 0),
        (PLAIN, {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/"}}, 0),
        (PLAIN, {"port": 9000}, 9000),
        (PLAIN, {"port": 8080}, 0),
        (PLAIN, {"port": 80}, 80),
        (Entry("https", 8443), {"scheme": "http", "port": 8080}, 8080),
        (Entry(), {"scheme": "https"}, 0),
    ],
)
def test_the_port_of_a_redirect_follows_from_scheme_or_listener(
    entry: Entry, redirect: dict[str, Any], port: int
) -> None:
    assert redirected(entry, **redirect) == port


def test_an_invalid_backend_keeps_its_share() -> None:
    action, notes = act(world(service("orders")), backendRefs=[to("orders", weight=3), to("gone")])
    assert isinstance(action, Forward)
    assert action.backends == (Backend("default/orders:80", 3), Backend(""))
    assert [(field, reason) for field, reason, _ in notes.unresolved] == [
        ("spec.rules[0].backendRefs[1]", "BackendNotFound")
    ]


@pytest.mark.parametrize(
    "rule", [{}, {"backendRefs": [to("gone")]}, {"backendRefs": [to("orders", weight=0)]}, {"filters": []}]
)
def test_a_rule_without_a_backend_answers_500(rule: dict[str, Any]) -> None:
    assert act(world(service("orders")), **rule)[0] == Respond(500)


def test_an_unknown_filter_closes_the_rule() -> None:
    guard = {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "Guard", "name": "a"}}
    action, notes = act(world(service("orders")), filters=[guard], backendRefs=[to("orders")])
    assert action == Respond(500)
    assert len(notes.unsupported) == 1


def test_what_has_no_effect_is_noted() -> None:
    _, notes = act(world(), retry={"attempts": 1}, sessionPersistence={}, filters=[{"type": "CORS", "cors": {}}])
    assert sorted(notes.ignored) == [
        "spec.rules[0].filters[0].cors",
        "spec.rules[0].retry",
        "spec.rules[0].sessionPersistence",
    ]


def test_shares_of_mirrors() -> None:
    def mirror(**share: Any) -> dict[str, Any]:
        return {"type": "RequestMirror", "requestMirror": {"backendRef": to("audit"), **share}}

    filters = [mirror(), mirror(percent=0), mirror(percent=7), mirror(fraction={"numerator": 1, "denominator": 3})]
    action, _ = act(world(service("orders"), service("audit")), filters=filters, backendRefs=[to("orders")])
    assert isinstance(action, Forward)
    name = "default/audit:80"
    assert action.mirrors == (Mirror(name), Mirror(name, 7, 100), Mirror(name, 1, 3))


def test_times_are_seconds() -> None:
    action, _ = act(world(service("a")), backendRefs=[to("a")], timeouts={"request": "0s", "backendRequest": "1m"})
    assert isinstance(action, Forward)
    assert (action.timeout_s, action.attempt_timeout_s) == (0.0, 60.0)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (to("orders"), ""),
        (to("orders", namespace="shop"), "RefNotPermitted"),
        (to("orders", group="example.com"), "InvalidKind"),
        (to("orders", kind="Bucket"), "InvalidKind"),
        ({"name": "orders"}, "BackendNotFound"),
        (to("orders", 81), "BackendNotFound"),
    ],
)
def test_why_a_backend_is_not_reached(reference: dict[str, Any], reason: str) -> None:
    memo = world(service("orders"), service("orders", "shop"))
    assert look_up(memo, "default", BackendReference.model_validate(reference)).reason == reason
