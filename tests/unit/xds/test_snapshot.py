"""Who shares an answer."""

from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.node import Address, GatewayNode, SidecarNode
from skep.xds.snapshot import WILDCARD, Encoded, demand


def sidecar(number: int) -> SidecarNode:
    return SidecarNode(
        Namespace("shop"), ServiceName("orders"), InstanceId(f"orders-{number}"), Address("127.0.0.1", 15001)
    )


def test_sidecars_of_a_namespace_share_what_they_name() -> None:
    assert demand(sidecar(1), "t", "a") == demand(sidecar(2), "t", "a")
    assert demand(sidecar(1), "t", WILDCARD) != demand(sidecar(2), "t", WILDCARD)
    gateways = [GatewayNode(Namespace("shop"), name) for name in ("one", "two")]
    assert demand(gateways[0], "t", "a") != demand(gateways[1], "t", "a")


def test_encoded_resources_print_without_their_content() -> None:
    assert "key" not in repr(Encoded("a", "1", b"key"))
