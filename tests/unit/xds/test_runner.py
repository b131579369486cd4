"""What a proxy may say of itself."""

from typing import Any

import msgspec
import pytest
from envoy.service.discovery.v3 import discovery_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from skep.errors import Invalid
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.node import Address, GatewayNode, Inbound, Node, SidecarNode
from skep.xds.runner import parse_node

SIDECAR = SidecarNode(
    Namespace("shop"),
    ServiceName("orders"),
    InstanceId("orders-1"),
    Address("127.0.0.1", 15001),
    (Inbound(Address("127.0.0.1", 15006), Address("127.0.0.1", 9000), "grpc"),),
)


def first_request(metadata: Any) -> pb.DeltaDiscoveryRequest:
    request = pb.DeltaDiscoveryRequest()
    request.node.metadata["skep"] = metadata
    return request


@pytest.mark.parametrize("node", [SIDECAR, GatewayNode(Namespace("shop"), "edge")])
def test_node_travels_in_metadata(node: Node) -> None:
    assert parse_node(first_request(msgspec.to_builtins(node))) == node


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"namespace": "No Such"}, "namespace"),
        ({"service": "../x"}, "not a name"),
        ({"outbound": {"host": "127.0.0.1", "port": 70000}}, "70000"),
        ({"outbound": {"host": "a.example", "port": 1}}, "a.example"),
        ({"outbound": {"host": "127.0.0.1", "port": 1.5}}, "outbound.port"),
        ({"inbound": "x"}, "inbound"),
        ({"type": "stranger"}, "stranger"),
    ],
)
def test_hostile_node_is_refused_with_the_reason(change: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid, match=named):
        parse_node(first_request(msgspec.to_builtins(SIDECAR) | change))


def test_proxy_without_metadata_is_refused() -> None:
    with pytest.raises(Invalid, match=r"node\.metadata\.skep"):
        parse_node(pb.DeltaDiscoveryRequest())


_JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda x: st.lists(x, max_size=3))
_FIELDS = st.sampled_from(["type", "namespace", "service", "instance", "outbound", "inbound", "name", "host", "port"])


@given(st.dictionaries(_FIELDS, _JSON | st.dictionaries(_FIELDS, _JSON)))
def test_no_metadata_does_more_than_be_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        parse_node(first_request(metadata))
