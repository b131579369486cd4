"""The record of a proxy's processes, through crashes and hot restarts."""

from hypothesis import given
from hypothesis import strategies as st

from skep.agent import epochs
from skep.agent.epochs import Launch, ProxyRecord, proxy_name
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.node import Address, GatewayNode, SidecarNode

ADMIN = Address("127.0.0.1", 1)
GATEWAY = GatewayNode(Namespace("default"), "edge")
RECORD = ProxyRecord("gateway.default.edge", GATEWAY, ADMIN)


def sidecar(namespace: str, service: str, name: str) -> SidecarNode:
    return SidecarNode(Namespace(namespace), ServiceName(service), InstanceId(name), ADMIN)


def test_first_process_chooses_its_base_id() -> None:
    record = epochs.start_fresh(RECORD)
    assert record.current == Launch("envoy.gateway.default.edge.1", 0, None)
    assert epochs.processes(record) == ("envoy.gateway.default.edge.1",)


def test_hot_restart_keeps_the_base_id_and_drains_the_old() -> None:
    record = epochs.start_next(epochs.learn_base_id(epochs.start_fresh(RECORD), 7))
    assert record.next == Launch("envoy.gateway.default.edge.2", 1, 7)
    record = epochs.take_over(record)
    assert record.current == Launch("envoy.gateway.default.edge.2", 1, 7)
    assert record.draining == (Launch("envoy.gateway.default.edge.1", 0, 7),)
    assert (epochs.parents(record), epochs.orphans(record)) == (record.draining, ())
    assert epochs.gone(record, "envoy.gateway.default.edge.1").draining == ()


def test_crash_starts_a_new_line_and_lets_drain() -> None:
    record = epochs.take_over(epochs.start_next(epochs.learn_base_id(epochs.start_fresh(RECORD), 7)))
    record = epochs.start_fresh(record)
    assert record.current == Launch("envoy.gateway.default.edge.3", 0, None)
    assert (epochs.parents(record), epochs.orphans(record)) == ((), record.draining)
    assert epochs.processes(record) == ("envoy.gateway.default.edge.3", "envoy.gateway.default.edge.1")


def test_failed_successor_leaves_the_current_without_a_line() -> None:
    record = epochs.give_up_next(epochs.start_next(epochs.learn_base_id(epochs.start_fresh(RECORD), 7)))
    assert record.next is None
    assert record.current == Launch("envoy.gateway.default.edge.1", 0, None)


def test_titles_are_what_people_type() -> None:
    assert RECORD.title == "gateway/edge"
    assert ProxyRecord("x", sidecar("default", "orders", "orders-1"), ADMIN).title == "orders/orders-1"
    assert RECORD.namespace == "default"


def test_plain_names_stay_readable() -> None:
    assert proxy_name(GATEWAY) == "gateway.default.edge"
    assert proxy_name(sidecar("default", "orders", "orders-1")) == "sidecar.default.orders.orders-1"


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_names_are_file_names_and_differ(one: str, other: str) -> None:
    first, second = (proxy_name(sidecar("default", "orders", name)) for name in (one, other))
    assert (first == second) == (one == other)
    assert len(first) <= 160
    assert not set(first) & set("/\0 ")
