"""Who may refer to what of another namespace."""

from skep.compiler.effective import service_ref
from skep.compiler.references import callers_of, granted, granted_namespaces, may_call, may_refer, routes_of
from skep.model.names import GATEWAY_GROUP
from tests.support.declared import world
from tests.support.manifests import grant

ORDERS = service_ref("shop", "orders")


def test_inside_a_namespace_everything_may_refer_to_everything() -> None:
    assert may_refer(world(), routes_of("shop"), ORDERS)
    assert not may_refer(world(), routes_of("app"), ORDERS)


def test_a_grant_names_who_and_what() -> None:
    memo = world(grant("shop", [(GATEWAY_GROUP, "HTTPRoute", "app")], "orders"))
    assert granted(memo, routes_of("app"), ORDERS)
    assert not granted(memo, routes_of("app"), service_ref("shop", "payment"))
    assert not granted(memo, routes_of("lab"), ORDERS)
    assert not granted(memo, callers_of("app"), ORDERS)
    assert granted_namespaces(memo, "shop") == ("app",)


def test_a_grant_without_a_name_is_for_every_object_of_the_kind() -> None:
    memo = world(grant("shop", [("", "Service", "app")]))
    assert granted(memo, callers_of("app"), ORDERS)
    assert granted_namespaces(memo, "shop") == ()


def test_a_namespace_may_call_what_its_routes_may_send_to() -> None:
    memo = world(grant("shop", [(GATEWAY_GROUP, "HTTPRoute", "app")]))
    assert may_call(memo, "app", ORDERS)
    assert not may_call(memo, "lab", ORDERS)


def test_a_grant_counts_in_its_own_namespace_only() -> None:
    assert not may_call(world(grant("other", [("", "Service", "app")])), "app", ORDERS)
