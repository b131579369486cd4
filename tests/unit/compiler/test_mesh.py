"""Which routes govern calls to a service."""

from typing import Any

from skep.compiler.memo import Memo
from skep.compiler.mesh import governing_routes
from tests.support.declared import world
from tests.support.manifests import grant, http_route, service

TWO_PORTS = [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]


def parent(**more: Any) -> list[dict[str, Any]]:
    return [{"group": "", "kind": "Service", "name": "orders", "namespace": "default", **more}]


def governing(memo: Memo, caller: str = "default", port: int = 80) -> list[str]:
    return [ref.name for ref in memo.get(governing_routes, caller, "default", "orders", port)]


def test_ports_are_respected() -> None:
    memo = world(
        service("orders", ports=TWO_PORTS),
        http_route("every", parentRefs=parent()),
        http_route("numbered", parentRefs=parent(port=81)),
        http_route("named", parentRefs=parent(sectionName="http")),
        http_route("neither", parentRefs=parent(sectionName="http", port=81)),
    )
    assert governing(memo) == ["every", "named"]
    assert governing(memo, port=81) == ["every", "numbered"]


def test_a_callers_own_route_comes_before_the_services() -> None:
    memo = world(
        service("orders"),
        http_route("producer", parentRefs=parent()),
        http_route("consumer", "app", parentRefs=parent()),
        grant("default", [("", "Service", "app"), ("", "Service", "lab")]),
    )
    assert governing(memo) == ["producer"]
    assert governing(memo, "app") == ["consumer"]
    assert governing(memo, "lab") == ["producer"]


def test_who_may_not_call_is_not_governed() -> None:
    memo = world(service("orders"), http_route("producer", parentRefs=parent()))
    assert governing(memo, "stranger") == []
