"""What a reference to a service's port leads to, and who serves it."""

import pytest
from hypothesis import given

from skep.compiler.services import find, parse_upstream_name, port_names, registered_ports, serving, spoken
from tests.support.declared import running, world
from tests.support.manifests import hostile_text, service


@pytest.mark.parametrize(
    ("port", "upstream"), [(0, "default/orders:80"), (80, "default/orders:80"), (81, "default/orders:81"), (82, "")]
)
def test_ports_of_a_service(port: int, upstream: str) -> None:
    memo = world(service("orders", ports=[{"name": "a", "port": 81}, {"name": "b", "port": 80}]))
    assert memo.get(find, "default", "orders", port).upstream == upstream
    assert port_names(memo, "default", "orders") == ((81, "a"), (80, "b"))


def test_without_port_80_the_first_is_meant() -> None:
    memo = world(service("orders", ports=[{"name": "a", "port": 9000}, {"name": "b", "port": 9001}]))
    assert memo.get(find, "default", "orders", 0).upstream == "default/orders:9000"
    assert memo.get(find, "default", "orders", 80).reason == "BackendNotFound"


def test_udp_ports_are_not_there() -> None:
    memo = world(service("orders", ports=[{"port": 80, "protocol": "UDP"}]))
    assert memo.get(find, "default", "orders", 80).reason == "BackendNotFound"


def test_a_registered_service_has_the_usual_port_and_its_own() -> None:
    memo = world(instances=[running("orders", target_port=9000)])
    assert memo.get(registered_ports, "default", "orders") == {9000}
    found = [memo.get(find, "default", "orders", port).upstream for port in (0, 80, 9000, 1)]
    assert found == ["default/orders:80", "default/orders:80", "default/orders:9000", ""]
    assert memo.get(find, "default", "gone", 80).reason == "BackendNotFound"


def test_encrypted_backends_are_not_supported() -> None:
    memo = world(service("orders", ports=[{"port": 443, "appProtocol": "https"}]))
    assert memo.get(find, "default", "orders", 443).reason == "UnsupportedProtocol"


def test_instances_of_a_headless_service_are_told_by_port() -> None:
    memo = world(service("orders", clusterIP="None"), instances=[running("orders", target_port=9000)])
    assert len(memo.get(serving, "default/orders:80")) == 1
    assert len(memo.get(serving, "default/orders:9000")) == 1
    assert memo.get(serving, "default/orders:1") == ()


def test_a_protocol_holds_when_all_instances_agree() -> None:
    memo = world(instances=[running("orders", "a", protocol="grpc"), running("orders", "b", protocol="grpc")])
    assert memo.get(spoken, "default/orders:80") == "grpc"
    mixed = world(instances=[running("orders", "a", protocol="grpc"), running("orders", "b")])
    assert mixed.get(spoken, "default/orders:80") == "http"


def test_names_of_upstreams_are_read_back() -> None:
    assert parse_upstream_name("default/orders:80") == ("default", "orders", 80)


@given(hostile_text)
def test_no_name_makes_a_lookup_raise(name: str) -> None:
    memo = world()
    assert memo.get(serving, name) == ()
    assert memo.get(serving, f"a/{name}:1") == ()
