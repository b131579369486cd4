"""Gateways' tables: isolation, what a change rebuilds, and the properties that hold for any world."""

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from skep.compiler.edge import (
    ServerName,
    edge_ports,
    edge_routes,
    edge_upstreams,
    parse_server_name,
    virtual_host,
)
from skep.compiler.facts import ResourceFact
from skep.compiler.hosts import outbound_host
from skep.compiler.memo import Memo
from skep.compiler.status import status_of
from skep.compiler.upstreams import endpoints, upstream, visible
from skep.ir.edge import Routes
from skep.model.instance import Instance
from skep.model.names import GATEWAY_GROUP, Namespace, ObjectRef
from tests.support.declared import declare, facts_of, resource_of, world
from tests.support.manifests import Document, gateway, gateway_class, http_route, listener, service, to
from tests.support.worlds import routes, worlds

EDGE = ObjectRef(GATEWAY_GROUP, "Gateway", "default", "edge")
HERE = [{"name": "edge"}]
thorough = settings(deadline=None, max_examples=60)


def everything(memo: Memo, documents: list[Document]) -> dict[str, Any]:
    """Ask for all that proxies and authors could ask for."""
    ports = memo.get(edge_ports, EDGE)
    found: dict[str, Any] = {"ports": ports, "upstreams": memo.get(edge_upstreams, EDGE)}
    for port in ports:
        for server in port.servers:
            found[server.name] = memo.get(edge_routes, server.name)
    for namespace in (Namespace("default"), Namespace("shop")):
        for name in ("orders", "coupons.shop", "coupons.default:81", "gone", "orders.shop.svc.cluster.local"):
            found[f"{namespace} calls {name}"] = memo.get(outbound_host, namespace, name)
        for name in ("default/orders:80", "shop/coupons:81", "default/coupons:9000"):
            found[f"{namespace} sees {name}"] = memo.get(visible, namespace, name)
            found[name] = (memo.get(upstream, name), memo.get(endpoints, name))
    for document in documents:
        ref = resource_of(document).ref
        found[str(ref)] = memo.get(status_of, ref)
    return found


def built(documents: list[Document], instances: list[Instance]) -> Memo:
    memo = Memo()
    declare(memo, [resource_of(document) for document in documents], instances)
    return memo


@thorough
@given(worlds(), st.randoms(use_true_random=False))
def test_compile_never_raises_and_does_not_depend_on_order(
    drawn: tuple[list[Document], list[Instance]], shuffler: Any
) -> None:
    documents, instances = drawn
    shuffled = list(documents)
    shuffler.shuffle(shuffled)
    assert everything(built(documents, instances), documents) == everything(built(shuffled, instances), documents)


@thorough
@given(worlds(), worlds())
def test_what_is_recompiled_after_a_change_is_what_would_be_compiled_anew(
    before: tuple[list[Document], list[Instance]], after: tuple[list[Document], list[Instance]]
) -> None:
    first, then = (facts_of(map(resource_of, documents), instances) for documents, instances in (before, after))
    memo = built(*before)
    everything(memo, before[0])
    for fact in {**first, **then}:
        memo.set(fact, then.get(fact))
    assert everything(memo, after[0]) == everything(built(*after), after[0])


@thorough
@given(worlds(), routes("bad"))
def test_one_bad_route_changes_nothing_in_the_others(
    drawn: tuple[list[Document], list[Instance]], bad: Document
) -> None:
    documents, instances = drawn
    good = [item for item in documents if item["kind"] != "HTTPRoute" or item["spec"].get("parentRefs")]
    without = everything(built(good, instances), good)
    beside = everything(built([*good, bad], instances), [*good, bad])
    for name, table in without.items():
        if isinstance(table, Routes):
            assert routes_by_host(table) == routes_by_host(beside[name], leave_out="/bad/")
    for item in good:
        if item["kind"] == "HTTPRoute":
            ref = str(resource_of(item).ref)
            assert without[ref] == beside[ref]


def routes_by_host(table: Routes, leave_out: str = "//") -> dict[str, list[Any]]:
    hosts = {
        host.hostnames[0]: [route for route in host.routes if leave_out not in route.name]
        for host in table.virtual_hosts
    }
    return {hostname: kept for hostname, kept in hosts.items() if kept}


def test_a_change_of_one_route_rebuilds_its_own_host_alone() -> None:
    def shop(name: str, path: str) -> Document:
        rules = [{"matches": [{"path": {"value": path}}], "backendRefs": [to("orders")]}]
        return http_route(name, parentRefs=HERE, hostnames=[f"{name}.example"], rules=rules)

    memo = world(gateway_class(), gateway(), service("orders"), *(shop(f"r{i}", "/a") for i in range(5)))
    name = "gateway/default/edge/8080"
    before = memo.get(edge_routes, name)
    changed = resource_of(shop("r2", "/b"))
    memo.set(ResourceFact(changed.ref), changed)
    after = memo.get(edge_routes, name)
    assert before is not None
    assert after is not None
    kept = [new is old for old, new in zip(before.virtual_hosts, after.virtual_hosts, strict=True)]
    assert kept == [True, True, False, True, True]


def test_a_change_costs_a_small_part_of_the_whole() -> None:
    def shop(index: int, path: str) -> Document:
        rules = [{"matches": [{"path": {"value": path}}], "backendRefs": [to("orders")]}]
        return http_route(f"r{index}", parentRefs=HERE, rules=rules)

    memo = world(gateway_class(), gateway(), service("orders"), *(shop(i, f"/{i}") for i in range(2000)))
    name = "gateway/default/edge/8080"
    started = time.perf_counter()
    memo.get(edge_routes, name)
    whole_s = time.perf_counter() - started
    changed = resource_of(shop(1000, "/changed"))
    memo.set(ResourceFact(changed.ref), changed)
    started = time.perf_counter()
    memo.get(edge_routes, name)
    assert time.perf_counter() - started < whole_s / 5


def test_a_host_belongs_to_the_most_specific_listener() -> None:
    memo = world(
        gateway_class(),
        gateway(listener("any"), listener("api", hostname="api.example")),
        service("orders"),
        http_route(
            parentRefs=[{"name": "edge", "sectionName": "any"}],
            hostnames=["api.example", "www.example"],
            rules=[{"backendRefs": [to("orders")]}],
        ),
    )
    table = memo.get(edge_routes, "gateway/default/edge/8080")
    assert table is not None
    assert {host.hostnames[0]: len(host.routes) for host in table.virtual_hosts} == {"api.example": 0, "www.example": 1}
    assert memo.get(virtual_host, ServerName(EDGE, 8080), "api.example").routes == ()


def test_names_of_servers_are_read_back() -> None:
    assert parse_server_name("gateway/default/edge/8080") == ServerName(EDGE, 8080)
    assert parse_server_name("gateway/default/edge/8443/web") == ServerName(EDGE, 8443, "web")
    for wrong in ("", "gateway/a/b", "gateway/a/b/x", "other/a/b/1", "gateway/a/b/1/c/d", "gateway/a/b/²"):
        assert parse_server_name(wrong) is None
        assert world().get(edge_routes, wrong) is None


def test_nothing_is_asked_of_a_gateway_that_is_not_ours() -> None:
    memo = world(gateway_class("example.com/other"), gateway())
    assert memo.get(edge_ports, EDGE) == ()
    assert memo.get(edge_routes, "gateway/default/edge/8080") is None
    assert memo.get(edge_upstreams, EDGE) == ()
