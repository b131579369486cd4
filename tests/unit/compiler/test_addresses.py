"""Which addresses Gateways get."""

from typing import Any

from skep.compiler.addresses import addresses_of, assigned_addresses, holder, is_ours, our_gateways
from skep.model.names import GATEWAY_GROUP, ObjectRef
from tests.support.declared import world
from tests.support.manifests import Document, gateway, gateway_class


def named(name: str, age: int = 1, kept: str = "", **spec: Any) -> Document:
    made = gateway(name=name, **spec)
    made["metadata"]["creationTimestamp"] = f"2026-01-{age:02}T00:00:00Z"
    if kept:
        made["status"] = {"addresses": [{"type": "IPAddress", "value": kept}]}
    return made


def ref(name: str) -> ObjectRef:
    return ObjectRef(GATEWAY_GROUP, "Gateway", "default", name)


def assigned(*documents: Document) -> dict[str, tuple[str, ...]]:
    return {item.name: found for item, found in world(gateway_class(), *documents).get(assigned_addresses).items()}


def test_the_oldest_gets_the_first_free_one() -> None:
    assert assigned(named("b", 1), named("a", 2), named("edge", 3)) == {
        "edge": ("127.0.0.1",),
        "b": ("127.0.0.2",),
        "a": ("127.0.0.3",),
    }


def test_what_is_asked_for_is_given() -> None:
    found = assigned(named("a", addresses=[{"value": "127.0.0.2"}, {"value": "::1"}]), named("b", 2))
    assert found == {"a": ("127.0.0.2", "::1"), "b": ("127.0.0.3",)}


def test_a_gateway_keeps_what_it_had() -> None:
    assert assigned(named("a", 1), named("b", 2, kept="127.0.0.2")) == {"a": ("127.0.0.3",), "b": ("127.0.0.2",)}
    assert assigned(named("a", 1, kept="10.0.0.1")) == {"a": ("127.0.0.2",)}
    assert assigned(named("a", 1, kept="nonsense")) == {"a": ("127.0.0.2",)}


def test_two_that_had_the_same_are_parted() -> None:
    assert assigned(named("a", 1, kept="127.0.0.9"), named("b", 2, kept="127.0.0.9")) == {
        "a": ("127.0.0.9",),
        "b": ("127.0.0.2",),
    }


def test_an_annotation_is_a_wish() -> None:
    noted = named("a")
    noted["metadata"]["annotations"] = {"skep.dev/address": "127.0.0.7"}
    assert assigned(noted) == {"a": ("127.0.0.7",)}


def test_a_hostname_cannot_be_given() -> None:
    assert assigned(named("a", addresses=[{"type": "Hostname", "value": "a.example"}])) == {"a": ()}


def test_the_oldest_holds_a_port() -> None:
    same = [{"value": "127.0.0.5"}]
    memo = world(gateway_class(), named("b", 1, addresses=same), named("a", 2, addresses=same))
    assert memo.get(holder, "127.0.0.5", 8080) == ref("b")
    assert memo.get(holder, "127.0.0.5", 9999) is None
    assert memo.get(addresses_of, ref("a")) == ("127.0.0.5",)


def test_gateways_of_other_classes_get_nothing() -> None:
    memo = world(gateway_class("example.com/other"), named("a"))
    assert not memo.get(is_ours, ref("a"))
    assert memo.get(our_gateways) == ()
    assert memo.get(addresses_of, ref("a")) == ()
