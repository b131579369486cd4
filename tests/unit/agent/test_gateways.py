"""Which Gateways this host carries."""

from typing import Any

from skep.agent.gateways import wanted_gateways
from skep.model.names import Namespace
from skep.model.node import GatewayNode
from skep.routing.defaults import CONTROLLER

OURS = {("", "skep"): {"spec": {"controllerName": CONTROLLER}}, ("", "other"): {"spec": {"controllerName": "x.io/y"}}}
EDGE = GatewayNode(Namespace("default"), "edge")


def gateway(class_name: str = "skep", accepted: str | None = "True") -> dict[str, Any]:
    conditions = [] if accepted is None else [{"type": "Accepted", "status": accepted}]
    return {"spec": {"gatewayClassName": class_name}, "status": {"conditions": conditions}}


def test_accepted_gateway_of_our_class_is_carried() -> None:
    assert wanted_gateways({("default", "edge"): gateway()}, OURS, ()) == {EDGE}


def test_gateway_of_another_controller_is_left_alone() -> None:
    assert wanted_gateways({("default", "edge"): gateway("other")}, OURS, {EDGE}) == set()


def test_gateway_waits_for_acceptance_and_keeps_its_envoy_through_a_mistake() -> None:
    for accepted in (None, "False"):
        objects = {("default", "edge"): gateway(accepted=accepted)}
        assert wanted_gateways(objects, OURS, ()) == set()
        assert wanted_gateways(objects, OURS, {EDGE}) == {EDGE}


def test_gateway_that_is_gone_is_stopped() -> None:
    assert wanted_gateways({}, OURS, {EDGE}) == set()
