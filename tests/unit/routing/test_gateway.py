"""What a GatewayClass and a Gateway may say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.routing.gateway import is_ip_address
from tests.support.manifests import anything, deep, gateway, gateway_class, listener, paths

TLS = {"certificateRefs": [{"name": "shop"}]}


def test_a_class_names_its_controller() -> None:
    assert paths(gateway_class()) == []
    assert paths(gateway_class("skep")) == ["spec.controllerName"]
    assert paths(gateway_class("")) == ["spec.controllerName"]


@pytest.mark.parametrize(
    "listed",
    [
        [listener()],
        [listener("a"), listener("b", hostname="*.shop.example"), listener("c", 8443, "HTTPS", tls=TLS)],
        [listener("tcp", 9000, "TCP"), listener("own", 9001, "example.com/own")],
        [listener(allowedRoutes={"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}})],
    ],
)
def test_good_listeners(listed: list[dict[str, Any]]) -> None:
    assert paths(gateway(*listed)) == []


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ([listener("A B")], ["name"]),
        ([listener(port=0)], ["port"]),
        ([listener(protocol="H T")], ["protocol"]),
        ([listener(hostname="*")], ["hostname"]),
        ([listener(protocol="TCP", hostname="a.example")], ["hostname"]),
        ([listener(protocol="HTTPS")], ["tls"]),
        ([listener(protocol="http", tls=TLS)], ["tls"]),
        ([listener(protocol="HTTPS", tls={})], ["tls.certificateRefs"]),
        ([listener(protocol="HTTPS", tls=TLS | {"mode": "Passthrough"})], ["tls.mode"]),
        ([listener(allowedRoutes={"namespaces": {"from": "Selector"}})], ["allowedRoutes.namespaces.selector"]),
        ([listener(allowedRoutes={"kinds": [{"kind": "?"}]})], ["allowedRoutes.kinds[0].kind"]),
        (
            [listener(protocol="HTTPS", tls={"certificateRefs": [{"name": "a", "namespace": "B", "kind": "?"}]})],
            ["tls.certificateRefs[0].kind", "tls.certificateRefs[0].namespace"],
        ),
    ],
)
def test_every_mistake_of_a_listener_has_its_path(listed: list[dict[str, Any]], found: list[str]) -> None:
    assert paths(gateway(*listed)) == [f"spec.listeners[0].{path}" for path in found]


def test_listeners_differ() -> None:
    assert paths(gateway(listener("a"), listener("a", 81), listener("b"))) == [
        "spec.listeners[1].name",
        "spec.listeners[2]",
    ]


def test_addresses() -> None:
    assert paths(gateway(addresses=[{"value": "127.0.0.2"}, {"value": "::1"}, {}])) == []
    wrong = [{"value": "here"}, {"type": "Hostname", "value": "Here"}, {"value": "127.0.0.2"}, {"value": "127.0.0.2"}]
    assert paths(gateway(addresses=wrong)) == [
        "spec.addresses[0].value",
        "spec.addresses[1].value",
        "spec.addresses[3].value",
    ]
    assert not is_ip_address("fe80::1%eth0")


@given(st.dictionaries(st.sampled_from(["listeners", "addresses", "gatewayClassName", "tls", "x"]), anything))
def test_no_spec_makes_validation_raise(spec: dict[str, Any]) -> None:
    paths(gateway() | {"spec": spec})
    paths(gateway() | {"spec": gateway()["spec"] | spec})


def test_depth_does_not_make_validation_raise() -> None:
    assert paths(gateway(infrastructure=deep())) == []
