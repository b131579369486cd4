from skep.model.instance import Instance, InstanceKey
from skep.model.names import InstanceId, Namespace, ServiceId, ServiceName
from skep.registry.index import Index


def instance(name: str, service: str = "orders", namespace: str = "default", **labels: str) -> Instance:
    return Instance(
        Namespace(namespace), ServiceName(service), InstanceId(name), address="10.0.0.7", port=80, labels=labels
    )


ORDERS = ServiceId(Namespace("default"), ServiceName("orders"))


def test_members_and_labelled_are_sorted_and_follow_changes() -> None:
    index = Index()
    b, a = instance("b", version="v1"), instance("a", version="v2")
    index.apply([b, a, instance("c", service="coupons", version="v1")])
    assert index.members(ORDERS) == (a, b)
    assert [i.id for i in index.labelled(Namespace("default"), "version", "v1")] == ["c", "b"]
    moved = instance("b", version="v2")
    index.apply([moved])
    assert index.members(ORDERS) == (a, moved)
    assert index.labelled(Namespace("default"), "version", "v2") == (a, moved)
    index.apply([], [a.key, moved.key])
    assert index.members(ORDERS) == ()
    assert index.labelled(Namespace("default"), "version", "v2") == ()
    assert ORDERS not in index.services


def test_other_namespaces_are_not_mixed_in() -> None:
    index = Index()
    index.apply([instance("a", namespace="shop", version="v1")])
    assert index.members(ORDERS) == ()
    assert index.labelled(Namespace("default"), "version", "v1") == ()


def test_what_does_not_change_anything_raises_no_revision() -> None:
    index = Index()
    assert index.apply([instance("a")])
    assert not index.apply([instance("a")], [instance("zz").key])
    assert index.revision == 1


def test_changed_since_names_each_key_once() -> None:
    index = Index()
    index.apply([instance("a"), instance("b")])
    index.apply([instance("a", version="v2")])
    index.apply([], [instance("b").key])
    assert index.changed_since(0) == (3, frozenset({instance("a").key, instance("b").key}))
    assert index.changed_since(2) == (3, frozenset({instance("b").key}))
    assert index.changed_since(3) == (3, frozenset())


def test_who_is_too_far_behind_is_told_to_read_everything() -> None:
    index = Index(remembered=3)
    for number in range(5):
        index.apply([instance(f"i{number}")])
    assert index.changed_since(1) is None
    assert index.changed_since(2) == (5, frozenset(instance(f"i{n}").key for n in (2, 3, 4)))
    assert index.changed_since(99) is None  # a revision from before a restart


def test_half_remembered_batch_counts_as_forgotten() -> None:
    index = Index(remembered=3)
    index.apply([instance(f"i{number}") for number in range(4)])
    assert index.changed_since(0) is None
    assert index.changed_since(1) == (1, frozenset[InstanceKey]())
