import base64
from typing import Any

import pytest

from skep.kinds import kind_for, parse_body
from skep.model.notes import notes
from skep.routing.defaults import edge_gateway, edge_secret, gateway_class, namespaces

DOCUMENTS = [*namespaces(), gateway_class(), edge_secret("chain", "key"), edge_gateway("127.0.0.1", 8080, 8443)]


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda document: f"{document['kind']}-{document['metadata']['name']}"
)
def test_the_first_objects_are_valid_and_fully_honoured(document: dict[str, Any]) -> None:
    kind = kind_for(document["apiVersion"].rpartition("/")[0], document["kind"])
    assert kind is not None
    body = parse_body(kind, document)
    assert isinstance(body, kind.body), body
    assert list(kind.validate(body)) == []
    assert notes(body) == []


def test_the_edge_takes_routes_of_every_namespace_and_shows_its_certificate() -> None:
    listeners = edge_gateway("127.0.0.2", 80, 443)["spec"]["listeners"]
    assert [(listener["protocol"], listener["port"]) for listener in listeners] == [("HTTP", 80), ("HTTPS", 443)]
    assert all(listener["allowedRoutes"]["namespaces"]["from"] == "All" for listener in listeners)
    name = listeners[1]["tls"]["certificateRefs"][0]["name"]
    secret = edge_secret("chain", "key")
    assert secret["metadata"]["name"] == name
    assert base64.b64decode(secret["data"]["tls.key"]) == b"key"
