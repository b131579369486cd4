"""Which facts follow from declarations and registrations."""

from typing import Any

from skep.compiler import facts
from skep.compiler.memo import Memo
from skep.kinds import kind_for, parse
from skep.model.instance import Health, Instance, InstanceKey
from skep.model.names import GATEWAY_GROUP, InstanceId, Namespace, ObjectRef, ServiceId, ServiceName
from skep.model.resource import Resource
from skep.pipeline.feed import Feed

NS = Namespace("shop")
EDGE = ObjectRef(GATEWAY_GROUP, "Gateway", "shop", "edge")


class World:
    """A feed over a registry made of a dictionary."""

    def __init__(self) -> None:
        self.memo = Memo()
        self.instances: dict[InstanceKey, Instance] = {}
        self.departed: list[tuple[str, list[int]]] = []
        self.feed = Feed(self.memo, self.members, self.labelled, self.depart)

    def members(self, service: ServiceId) -> tuple[Instance, ...]:
        return tuple(i for i in self.instances.values() if i.service_id == service)

    def labelled(self, namespace: Namespace, key: str, value: str) -> tuple[Instance, ...]:
        return tuple(i for i in self.instances.values() if i.namespace == namespace and i.labels.get(key) == value)

    def depart(self, service: ServiceId, ports: frozenset[int]) -> None:
        self.departed.append((service.name, sorted(ports)))

    def declare(self, document: dict[str, Any]) -> ObjectRef:
        group = document["apiVersion"].rpartition("/")[0]
        kind = kind_for(group, document["kind"])
        assert kind is not None
        resource = parse(kind, document)
        assert isinstance(resource, Resource)
        self.is_news = self.feed.declare(resource.ref, resource)
        self.feed.settle()
        return resource.ref

    def register(self, instance: Instance) -> None:
        self.instances[instance.key] = instance
        self.feed.refresh_instances([instance.key], self.instances)

    def remove(self, key: InstanceKey) -> None:
        del self.instances[key]
        self.feed.refresh_instances([key], self.instances)


def route(name: str, *parents: str, generation: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": NS, "generation": generation},
        "spec": {"parentRefs": [{"name": parent} for parent in parents]},
        "status": status,
    }


def service(name: str, **selector: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NS}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": selector, "ports": [{"port": 80}]}}  # fmt: skip


def instance(number: int, health: Health = Health.PASSING, **labels: str) -> Instance:
    return Instance(
        NS, ServiceName("orders"), InstanceId(f"i{number}"), "127.0.0.1", 9000 + number, labels=labels, health=health
    )


def test_routes_are_indexed_by_the_parents_they_name_now() -> None:
    world = World()
    ref = world.declare(route("a", "edge"))
    assert facts.attached(world.memo, EDGE) == {ref}
    world.declare(route("a", "other", generation=2))
    assert facts.attached(world.memo, EDGE) == frozenset()
    world.feed.declare(ref, None)
    world.feed.settle()
    assert facts.names(world.memo, GATEWAY_GROUP, "HTTPRoute") == frozenset()
    assert facts.resource(world.memo, ref) is None


def test_an_earlier_form_in_force_keeps_its_parents() -> None:
    world = World()

    def attached_to(*parents: ObjectRef) -> list[list[ObjectRef]]:
        return [sorted(facts.attached(world.memo, parent)) for parent in parents]

    ref = world.declare(route("a", "edge"))
    earlier = facts.resource(world.memo, ref)
    other = ObjectRef(GATEWAY_GROUP, "Gateway", "shop", "other")
    world.declare(route("a", "other", generation=2))
    world.feed.keep(ref, earlier)
    assert attached_to(EDGE, other) == [[ref], [ref]]
    world.declare(route("a", "other", generation=2, parents=[]))
    assert attached_to(EDGE, other) == [[ref], [ref]], "a status changes nothing"
    world.feed.keep(ref, None)
    assert attached_to(EDGE, other) == [[], [ref]]
    world.feed.keep(ref, earlier)
    world.declare(route("a", "other", generation=3))
    assert attached_to(EDGE, other) == [[], [ref]]
    world.feed.keep(ref, earlier)
    world.feed.declare(ref, None)
    world.feed.settle()
    assert attached_to(EDGE, other) == [[], []]


def test_the_last_instance_that_leaves_is_told_of() -> None:
    world = World()
    world.register(instance(1))
    world.register(instance(2))
    world.remove(instance(1).key)
    assert world.departed == []
    world.remove(instance(2).key)
    assert world.departed == [("orders", [9002])]


def test_a_written_status_is_not_news() -> None:
    world = World()
    ref = world.declare(route("a", "edge"))
    before = facts.resource(world.memo, ref)
    world.declare(route("a", "edge", parents=[]))
    assert facts.resource(world.memo, ref) is before
    assert not world.is_news
    world.declare(route("a", "edge", generation=2))
    assert world.is_news


def test_a_new_generation_is_no_longer_refused() -> None:
    world = World()
    ref = world.declare(route("a", "edge"))
    world.memo.set(facts.RejectedFact(ref), facts.Rejection(1, "no"))
    world.declare(route("a", "edge", parents=[]))
    assert facts.rejected(world.memo, ref) is not None
    world.declare(route("a", "edge", generation=2))
    assert facts.rejected(world.memo, ref) is None


def test_instances_are_found_by_service_and_by_the_labels_that_services_select() -> None:
    world = World()
    orders = ServiceId(NS, ServiceName("orders"))
    world.register(instance(1, version="v1"))
    assert [i.id for i in facts.members(world.memo, orders)] == ["i1"]
    assert facts.labelled(world.memo, NS, "version", "v1") == ()
    world.declare(service("orders-v1", version="v1"))
    assert [i.id for i in facts.labelled(world.memo, NS, "version", "v1")] == ["i1"]
    world.register(instance(2, version="v1"))
    world.register(instance(1, version="v2"))
    assert [i.id for i in facts.labelled(world.memo, NS, "version", "v1")] == ["i2"]
    world.remove(instance(2).key)
    assert facts.labelled(world.memo, NS, "version", "v1") == ()
    assert [i.id for i in facts.members(world.memo, orders)] == ["i1"]
