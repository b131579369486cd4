"""What a Gateway's author is told."""

from typing import Any

from msgspec.structs import replace

from skep.compiler.edge import edge_ports
from skep.compiler.effective import gateway as gateway_of
from skep.compiler.facts import EdgeAcceptedFact
from skep.compiler.gateway_status import attached_routes, gateway_status
from skep.compiler.memo import Memo
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.model.node import Address
from tests.support.declared import accept_edges, reject, reject_edge, world
from tests.support.manifests import gateway, gateway_class, http_route, listener

EDGE = ObjectRef(GATEWAY_GROUP, "Gateway", "default", "edge")


def told(memo: Memo) -> dict[str, Any]:
    declared = gateway_of(memo, EDGE)
    assert declared is not None
    found = gateway_status(memo, declared)
    assert found is not None
    return found


def reasons(conditions: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in conditions}


def test_a_good_gateway() -> None:
    parents = [{"name": "edge"}]
    memo = world(gateway_class(), gateway(), http_route("a", parentRefs=parents), http_route("b", parentRefs=parents))
    status = told(memo)
    assert reasons(status["conditions"]) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    assert status["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]
    assert status["listeners"][0]["attachedRoutes"] == memo.get(attached_routes, EDGE)["http"] == 2
    assert reasons(status["listeners"][0]["conditions"])["Conflicted"] == ("False", "NoConflicts")


def test_a_port_that_cannot_be_listened_on() -> None:
    memo = world(gateway_class(), gateway(listener("a"), listener("b", 81)))
    reject_edge(memo, "gateway/default/edge/8080", "in use")
    status = told(memo)
    assert reasons(status["conditions"])["Programmed"] == ("False", "AddressNotUsable")
    programmed = [reasons(item["conditions"])["Programmed"][0] for item in status["listeners"]]
    assert programmed == ["False", "True"]


def test_a_port_that_no_proxy_listens_on_yet() -> None:
    memo = world(gateway_class(), gateway(listener("a"), listener("b", 81)))
    accept_edges(memo, "gateway/default/edge/81")
    status = told(memo)
    assert reasons(status["conditions"])["Programmed"] == ("False", "Pending")
    programmed = [reasons(item["conditions"])["Programmed"] for item in status["listeners"]]
    assert programmed == [("True", "Programmed"), ("False", "Pending")]


def test_a_port_that_a_proxy_took_in_another_form() -> None:
    memo = world(gateway_class(), gateway())
    (port,) = memo.get(edge_ports, EDGE)
    memo.set(EdgeAcceptedFact(port.name), replace(port, address=Address("127.0.0.9", 8080)))
    assert reasons(told(memo)["conditions"])["Programmed"] == ("False", "Pending")


def test_no_listener_is_sound() -> None:
    status = told(world(gateway_class(), gateway(listener(protocol="TCP"))))
    assert reasons(status["conditions"]) == {
        "Accepted": ("False", "ListenersNotValid"),
        "Programmed": ("False", "Invalid"),
    }


def test_a_refused_gateway() -> None:
    memo = world(gateway_class(), gateway())
    declared = gateway_of(memo, EDGE)
    assert declared is not None
    reject(memo, EDGE, 1, "no", last=declared)
    assert reasons(told(memo)["conditions"])["Programmed"] == ("False", "Invalid")


def test_classes() -> None:
    waiting = told(world(gateway()))
    assert reasons(waiting["conditions"]) == {"Accepted": ("Unknown", "Pending"), "Programmed": ("Unknown", "Pending")}
    memo = world(gateway_class("example.com/other"), gateway())
    declared = gateway_of(memo, EDGE)
    assert declared is not None
    assert gateway_status(memo, declared) is None
