import msgspec

from skep.model.instance import Health
from skep.model.instance import Instance as Registration
from skep.model.names import InstanceId, Namespace, ServiceName, is_dns_subdomain
from skep.registry.spec import Instance, instance_from_document, object_document, object_name, validate_instance

FULL = Registration(
    Namespace("shop"), ServiceName("orders"), InstanceId("orders-v2-0"), address="2001:db8::7", port=15001,
    target_port=8080, protocol="grpc", weight=3, zone="a", labels={"skep.dev/service": "orders", "version": "v2"},
    health=Health.DRAINING, lease_s=2.5, source="agent/h1",
)  # fmt: skip


def test_document_holds_all_of_an_instance() -> None:
    document = msgspec.json.decode(msgspec.json.encode(object_document(FULL)))
    assert instance_from_document(document) == FULL


def test_object_has_a_valid_name_unique_in_its_namespace() -> None:
    name = object_name(FULL.key)
    assert name == "orders.orders-v2-0"
    assert is_dns_subdomain(name)
    dotted = msgspec.structs.replace(FULL, service=ServiceName("a"), id=InstanceId("b.c"))
    assert object_name(dotted.key).partition(".") == ("a", ".", "b.c")


def test_body_knows_every_field_of_the_document() -> None:
    body = Instance.model_validate({"spec": object_document(FULL)["spec"]})
    assert body.spec.model_extra == {}
    assert body.spec.target_port == 8080
    assert validate_instance(body) == []
