"""What the status is told of the gateways' ports."""

from typing import Any

from skep.compiler import facts
from skep.compiler.edge import edge_ports
from skep.compiler.memo import Memo
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.pipeline.edges import RECONNECT_S, Edges
from skep.xds.translate.encode import encode_edge_port
from tests.support.declared import declare, resource_of
from tests.support.manifests import gateway, gateway_class, listener

EDGE = ObjectRef(GATEWAY_GROUP, "Gateway", "default", "edge")
PLAIN, OTHER = "gateway/default/edge/8080", "gateway/default/edge/81"


def started(*listeners: dict[str, Any]) -> tuple[Memo, Edges]:
    memo = Memo()
    documents = (gateway_class(), gateway(listener("a"), listener("b", 81)) | {"status": {"listeners": listeners}})
    resources = [resource_of(document) for document in documents]
    declare(memo, resources)
    edges = Edges(memo)
    edges.presume(resources, now=100.0)
    return memo, edges


def said(name: str, status: str = "True", generation: int = 1) -> dict[str, Any]:
    return {
        "name": name,
        "conditions": [{"type": "Programmed", "status": status, "observedGeneration": generation}],
    }


def known(memo: Memo) -> list[str]:
    return [name for name in (PLAIN, OTHER) if facts.edge_accepted(memo, name) is not None]


def take(memo: Memo, edges: Edges) -> None:
    edges.took(EDGE, [encode_edge_port(port) for port in memo.get(edge_ports, EDGE)])


def test_nothing_is_known_until_a_proxy_took_it() -> None:
    memo, edges = started()
    assert known(memo) == []
    take(memo, edges)
    assert known(memo) == [PLAIN, OTHER]
    edges.expire(1e9)
    assert known(memo) == [PLAIN, OTHER]


def test_an_older_form_that_a_proxy_took_says_nothing_of_the_newest() -> None:
    memo, edges = started()
    (port, *_) = memo.get(edge_ports, EDGE)
    edges.took(EDGE, [encode_edge_port(port.__class__(port.name, port.address, (), port.origin))])
    assert known(memo) == []


def test_what_a_status_says_is_believed_until_the_proxy_had_time_to_come_back() -> None:
    memo, edges = started(said("a"), said("b", "False"))
    assert known(memo) == [PLAIN]
    edges.expire(100.0 + RECONNECT_S - 1)
    assert known(memo) == [PLAIN]
    edges.expire(100.0 + RECONNECT_S)
    assert known(memo) == []
    memo, _ = started(said("a", generation=7))
    assert known(memo) == [], "it was said of another generation"


def test_a_proxy_that_comes_back_in_time_leaves_no_trace() -> None:
    memo, edges = started(said("a"), said("b"))
    take(memo, edges)
    edges.left(EDGE, 200.0)
    edges.expire(205.0)
    take(memo, edges)
    edges.expire(300.0)
    assert known(memo) == [PLAIN, OTHER]
    edges.left(EDGE, 400.0)
    edges.expire(400.0 + RECONNECT_S)
    assert known(memo) == []
