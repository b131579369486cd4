"""Which objects get a status from us."""

from skep.compiler.status import FEATURES, status_of
from skep.model.names import GATEWAY_GROUP, ObjectRef
from tests.support.declared import resource_of, world
from tests.support.manifests import Document, gateway, gateway_class, grant, http_route, service


def told(document: Document) -> dict[str, object] | None:
    return world(document).get(status_of, resource_of(document).ref)


def test_kinds() -> None:
    assert told(service("orders")) is None
    assert told(grant("shop", [("", "Service", "app")])) is None
    assert told(http_route()) == {"parents": []}
    assert told(gateway()) is not None
    assert world().get(status_of, ObjectRef(GATEWAY_GROUP, "HTTPRoute", "default", "gone")) is None


def test_our_class_is_accepted_and_says_what_it_supports() -> None:
    status = told(gateway_class())
    assert status is not None
    assert status["supportedFeatures"] == [{"name": name} for name in sorted(FEATURES)]
    assert told(gateway_class("example.com/other")) is None


def test_parameters_are_not_supported() -> None:
    asking = gateway_class()
    asking["spec"]["parametersRef"] = {"group": "", "kind": "ConfigMap", "name": "a"}
    status = told(asking)
    assert status is not None
    conditions = status["conditions"]
    assert isinstance(conditions, list)
    assert (conditions[0]["status"], conditions[0]["reason"]) == ("False", "InvalidParameters")
