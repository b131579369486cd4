"""Facts read before they are set are absent, and readable afterwards."""

from skep.compiler import facts
from skep.compiler.memo import Memo
from skep.model.names import Namespace, ObjectRef, ServiceId, ServiceName
from tests.support.declared import declare, reject, reject_edge, resource_of, running
from tests.support.manifests import http_route, service

ROUTE = http_route(parentRefs=[{"group": "", "kind": "Service", "name": "orders"}])
ORDERS = ObjectRef("", "Service", "default", "orders")


def test_facts_that_nobody_set_are_empty() -> None:
    memo = Memo()
    assert facts.resource(memo, ORDERS) is None
    assert facts.names(memo, "", "Service") == facts.attached(memo, ORDERS) == frozenset()
    assert facts.members(memo, ServiceId(Namespace("default"), ServiceName("orders"))) == ()
    assert facts.labelled(memo, Namespace("default"), "a", "b") == ()
    assert [facts.rejected(memo, ORDERS), facts.accepted(memo, ORDERS), facts.edge_rejected(memo, "x")] == [None] * 3


def test_facts_are_read_as_they_were_set() -> None:
    memo, route, instance = Memo(), resource_of(ROUTE), running("orders", labels={"a": "b"})
    orders = resource_of(service("orders", selector={"a": "b"}, ports=[{"port": 80}]))
    declare(memo, [route, orders], [instance])
    reject(memo, route.ref, 2, "no", last=route)
    reject_edge(memo, "x", "taken")
    assert facts.resource(memo, ORDERS) == orders
    assert facts.names(memo, "", "Service", "default") == facts.names(memo, "", "Service") == {ORDERS}
    assert facts.attached(memo, ORDERS) == {route.ref}
    assert facts.members(memo, instance.service_id) == facts.labelled(memo, Namespace("default"), "a", "b")
    assert facts.rejected(memo, route.ref) == facts.Rejection(2, "no")
    assert facts.accepted(memo, route.ref) == route
    assert facts.edge_rejected(memo, "x") == "taken"
