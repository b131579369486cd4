"""Which listeners take a route, and for which hostnames."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.compiler.attachment import admits, attach, attachments, common_hostnames, covers, find_listener
from skep.compiler.effective import http_route as route_of
from skep.compiler.listeners import listeners
from skep.model.names import GATEWAY_GROUP, ObjectRef
from tests.support.declared import resource_of, world
from tests.support.manifests import gateway, gateway_class, http_route, listener

EDGE = ObjectRef(GATEWAY_GROUP, "Gateway", "default", "edge")


@pytest.mark.parametrize(
    ("general", "hostname", "covered"),
    [
        ("", "a.example", True),
        ("a.example", "a.example", True),
        ("*.example", "a.example", True),
        ("*.example", "a.b.example", True),
        ("*.example", "*.b.example", True),
        ("*.example", "example", False),
        ("*.b.example", "*.example", False),
        ("a.example", "b.example", False),
        ("*.example", "aexample", False),
    ],
)
def test_what_a_hostname_covers(general: str, hostname: str, covered: bool) -> None:
    assert covers(general, hostname) is covered


hostnames = st.sampled_from(["", "a.example", "*.example", "*.b.example", "a.b.example", "other.test"])


@given(hostnames, st.lists(hostnames.filter(bool), max_size=4))
def test_common_hostnames_are_covered_by_both(one: str, others: list[str]) -> None:
    for hostname in common_hostnames(one, others):
        assert covers(one, hostname)
        assert not others or any(covers(other, hostname) for other in others)


def attached(
    listed: list[dict[str, Any]], parent: dict[str, Any], hosts: tuple[str, ...] = ()
) -> tuple[str, list[str]]:
    document = http_route(namespace=parent.pop("from", "default"), parentRefs=[parent], hostnames=list(hosts))
    memo = world(
        gateway_class(),
        gateway(*listed),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}},
        document,
    )
    ref = resource_of(document).ref
    route = route_of(memo, ref)
    assert route is not None
    found = attach(memo, route, route.body.spec.parent_refs[0], EDGE)
    assert memo.get(attachments, ref, EDGE) == found.taken
    return found.verdict.reason, [f"{taken.listener}:{','.join(taken.hostnames)}" for taken in found.taken]


TWO = [listener("a"), listener("b", 81, hostname="*.example")]


@pytest.mark.parametrize(
    ("parent", "hosts", "taken"),
    [
        ({}, (), ["a:", "b:*.example"]),
        ({"sectionName": "b"}, ("x.example", "y.test"), ["b:x.example"]),
        ({"port": 8080}, ("y.test",), ["a:y.test"]),
    ],
)
def test_listeners_take_routes(parent: dict[str, Any], hosts: tuple[str, ...], taken: list[str]) -> None:
    assert attached(TWO, {"name": "edge", **parent}, hosts) == ("Accepted", taken)


@pytest.mark.parametrize(
    ("parent", "hosts", "reason"),
    [
        ({"sectionName": "gone"}, (), "NoMatchingParent"),
        ({"sectionName": "a", "port": 81}, (), "NoMatchingParent"),
        ({"sectionName": "b"}, ("y.test",), "NoMatchingListenerHostname"),
        ({"from": "shop", "namespace": "default"}, (), "NotAllowedByListeners"),
    ],
)
def test_why_listeners_refuse(parent: dict[str, Any], hosts: tuple[str, ...], reason: str) -> None:
    assert attached(TWO, {"name": "edge", **parent}, hosts) == (reason, [])


@pytest.mark.parametrize(
    ("namespaces", "admitted"),
    [
        ({"from": "All"}, True),
        ({"from": "Same"}, False),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "b"}}}, False),
    ],
)
def test_namespaces_are_admitted(namespaces: dict[str, Any], admitted: bool) -> None:
    shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}}
    memo = world(gateway_class(), gateway(listener(allowedRoutes={"namespaces": namespaces})), shop)
    assert memo.get(admits, EDGE, "http", "shop") is admitted
    assert not memo.get(admits, EDGE, "gone", "shop")
    assert find_listener(memo.get(listeners, EDGE), "gone") is None
