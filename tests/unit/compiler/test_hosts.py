"""What an authority means to a caller."""

import pytest
from hypothesis import given

from skep.compiler.hosts import outbound_host, parse_authority
from skep.compiler.memo import Memo
from skep.ir.route import Forward
from skep.model.names import Namespace
from tests.support.declared import running, world
from tests.support.manifests import hostile_text, http_route, service, to


def sent_to(memo: Memo, authority: str, namespace: str = "default") -> list[str] | None:
    host = memo.get(outbound_host, Namespace(namespace), authority)
    if host is None:
        return None
    return [
        backend.upstream
        for route in host.routes
        if isinstance(route.action, Forward)
        for backend in route.action.backends
    ]


@pytest.mark.parametrize(
    ("authority", "read"),
    [
        ("orders", ("orders", "default", "orders", 0)),
        ("orders:80", ("orders", "default", "orders", 0)),
        ("orders:9000", ("orders", "default", "orders", 9000)),
        ("orders.shop", ("orders.shop", "shop", "orders", 0)),
        ("orders.shop.svc", ("orders.shop.svc", "shop", "orders", 0)),
        ("Orders.Shop.Svc.Cluster.Local.:81", ("orders.shop.svc.cluster.local.", "shop", "orders", 81)),
        ("orders.shop.svc.cluster", None),
        ("a.b.c", None),
        ("orders:", None),
        ("orders:0", None),
        ("orders:99999", None),
        ("orders:80:80", None),
        ("[::1]:80", None),
        ("", None),
    ],
)
def test_authorities(authority: str, read: tuple[str, str, str, int] | None) -> None:
    assert parse_authority("default", authority) == read


def test_a_registered_name_is_enough() -> None:
    memo = world(instances=[running("orders")])
    assert sent_to(memo, "orders") == ["default/orders:80"]
    assert sent_to(memo, "coupons") is None


def test_a_route_of_the_service_replaces_its_own_behaviour() -> None:
    parents = [{"group": "", "kind": "Service", "name": "orders"}]
    memo = world(
        service("orders"),
        service("orders-v2"),
        http_route(parentRefs=parents, rules=[{"backendRefs": [to("orders-v2")]}]),
    )
    assert sent_to(memo, "orders") == ["default/orders-v2:80"]
    assert sent_to(memo, "orders-v2") == ["default/orders-v2:80"]


def test_an_encrypted_service_cannot_be_called() -> None:
    assert sent_to(world(service("orders", ports=[{"port": 80, "appProtocol": "https"}])), "orders") is None


@given(hostile_text)
def test_no_authority_makes_it_raise(authority: str) -> None:
    assert sent_to(world(service("orders")), f"{authority}:{authority}") is None
    sent_to(world(service("orders")), authority)
