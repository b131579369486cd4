"""Which form of an object is in force."""

from skep.compiler.effective import effective, gateway, gateway_class, http_route, service, service_ref
from tests.support.declared import reject, resource_of, world
from tests.support.manifests import gateway as gateway_document
from tests.support.manifests import gateway_class as class_document
from tests.support.manifests import http_route as route_document
from tests.support.manifests import service as service_document

ROUTE = resource_of(route_document())


def test_the_last_written_form_is_in_force() -> None:
    memo = world(route_document(), service_document("orders"), class_document(), gateway_document())
    assert http_route(memo, ROUTE.ref) == ROUTE
    assert service(memo, "default", "orders") is not None
    assert gateway_class(memo, "skep") is not None
    assert gateway(memo, resource_of(gateway_document()).ref) is not None
    assert service(memo, "default", "gone") is None


def test_a_refused_generation_gives_way_to_the_last_accepted() -> None:
    memo = world(route_document(hostnames=["new.example"]))
    reject(memo, ROUTE.ref, 1, "too large", last=ROUTE)
    assert effective(memo, ROUTE.ref) == ROUTE


def test_a_refused_first_generation_is_left_out() -> None:
    memo = world(route_document())
    reject(memo, ROUTE.ref, 1, "too large")
    assert effective(memo, ROUTE.ref) is None


def test_a_refusal_ends_with_the_next_generation() -> None:
    memo = world(route_document())
    reject(memo, ROUTE.ref, 7, "too large")
    assert effective(memo, ROUTE.ref) == ROUTE


def test_another_kind_under_the_name_is_not_taken_for_it() -> None:
    assert http_route(world(service_document("orders")), service_ref("default", "orders")) is None
