"""Upstreams, their endpoints, and who may see them."""

from skep.compiler.memo import Memo
from skep.compiler.upstreams import endpoints, upstream, visible
from skep.ir.upstream import Endpoint, Upstream
from skep.model.names import GATEWAY_GROUP, Namespace
from skep.model.node import Address
from tests.support.declared import declare, running, world
from tests.support.manifests import grant, http_route, service, to

NAME = "default/orders:80"


def seen(memo: Memo, namespace: str, name: str) -> bool:
    return memo.get(visible, Namespace(namespace), name)


def test_protocols() -> None:
    for said, spoken in (("grpc", "grpc"), ("kubernetes.io/h2c", "http2"), ("http", "http"), ("redis", "tcp")):
        memo = world(service("orders", ports=[{"port": 80, "appProtocol": said}]))
        assert memo.get(upstream, NAME) == Upstream(NAME, protocol=spoken)


def test_an_external_name_is_an_address_outside() -> None:
    memo = world(service("mail", type="ExternalName", externalName="mail.example.com."))
    found = memo.get(upstream, "default/mail:2525")
    assert found == Upstream("default/mail:2525", external=Address("mail.example.com", 2525))
    assert memo.get(endpoints, "default/mail:2525").endpoints == ()


def test_what_does_not_exist_is_no_upstream() -> None:
    memo = world(service("orders"))
    for name in ("default/orders:81", "default/gone:80", "orders", "", "default/orders:080", "default/orders:0"):
        assert memo.get(upstream, name) is None
        assert not seen(memo, "default", "default/gone:80")


def test_only_passing_instances_are_endpoints() -> None:
    memo = world(
        instances=[
            running("orders", "a", weight=7, zone="east"),
            running("orders", "b", port=20002, health="starting"),
            running("orders", "c", port=20003, health="failing"),
        ]
    )
    assert memo.get(endpoints, NAME).endpoints == (Endpoint("127.0.0.1", 20001, weight=7, zone="east"),)


def test_a_change_of_instances_leaves_the_upstream_alone() -> None:
    memo = world(service("orders"), instances=[running("orders")])
    before = memo.get(upstream, NAME)
    memo.get(endpoints, NAME)
    declare(memo, [], [running("orders"), running("orders", "b", port=20002)])
    assert memo.get(upstream, NAME) is before
    assert len(memo.get(endpoints, NAME).endpoints) == 2


def test_other_namespaces_see_what_is_granted() -> None:
    memo = world(service("orders"), grant("default", [("", "Service", "app")], "orders"))
    assert [seen(memo, namespace, NAME) for namespace in ("default", "app", "lab")] == [True, True, False]


def test_who_may_call_a_service_sees_where_its_route_sends() -> None:
    parents = [{"group": "", "kind": "Service", "name": "orders"}]
    behind = to("orders-v2", namespace="backend")
    memo = world(
        service("orders"),
        service("orders-v2", "backend"),
        service("hidden", "backend"),
        http_route(parentRefs=parents, rules=[{"backendRefs": [behind]}]),
        grant("backend", [(GATEWAY_GROUP, "HTTPRoute", "default")]),
        grant("default", [("", "Service", "app")], "orders"),
    )
    assert seen(memo, "app", "backend/orders-v2:80")
    assert not seen(memo, "app", "backend/hidden:80")
    assert not seen(memo, "lab", "backend/orders-v2:80")
