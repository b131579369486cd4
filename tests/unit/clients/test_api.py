import asyncio

import httpx
import msgspec
import pytest

from skep.clients.api import ApiClient, instance_path, resource_path
from skep.errors import Denied


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("v1", "namespaces"), "/api/v1/namespaces"),
        (("v1", "services", "shop"), "/api/v1/namespaces/shop/services"),
        (("apps/v1", "deployments", "shop", "orders", "status"),
         "/apis/apps/v1/namespaces/shop/deployments/orders/status"),
        (("gateway.networking.k8s.io/v1", "gatewayclasses", "", "skep"),
         "/apis/gateway.networking.k8s.io/v1/gatewayclasses/skep"),
        (("v1", "services", "a/../b", "c?d#e"), "/api/v1/namespaces/a%2F..%2Fb/services/c%3Fd%23e"),
    ],
)  # fmt: skip
def test_path_of_a_resource(arguments: tuple[str, ...], path: str) -> None:
    assert resource_path(*arguments) == path


def test_path_of_an_instance_cannot_leave_its_place() -> None:
    path = instance_path("shop", "orders", "../x")
    assert path == "/registry/v1/namespaces/shop/services/orders/instances/..%2Fx"


def scripted(*answers: httpx.Response) -> tuple[ApiClient, list[str]]:
    """A client whose server gives these answers in turn, and the requests it made."""
    asked: list[str] = []
    script = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        revision = request.url.params.get("resourceVersion")
        asked.append(f"watch {revision}" if request.url.params.get("watch") else "list")
        return next(script)

    client = ApiClient("http://skep.test")
    client._http = httpx.AsyncClient(base_url=client.server, transport=httpx.MockTransport(answer))
    return client, asked


def listed(revision: int, *names: str) -> httpx.Response:
    items = [{"metadata": {"name": name}} for name in names]
    return httpx.Response(200, json={"metadata": {"resourceVersion": str(revision)}, "items": items})


def events(*lines: tuple[str, str, int]) -> httpx.Response:
    written = [
        {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(revision)}}}
        for kind, name, revision in lines
    ]
    return httpx.Response(200, content=b"".join(msgspec.json.encode(line) + b"\n" for line in written))


EXPIRED = {"kind": "Status", "code": 410, "message": "compacted"}


def follow(client: ApiClient, states: int) -> list[set[str]]:
    async def run() -> list[set[str]]:
        seen: list[set[str]] = []
        async for state in client.follow("/things"):
            seen.append({name for _, name in state})
            if len(seen) == states:
                break
        return seen

    return asyncio.run(run())


def test_follow_goes_on_where_the_last_watch_ended() -> None:
    client, asked = scripted(
        listed(5, "a"),
        events(("ADDED", "b", 6), ("BOOKMARK", "", 9)),
        events(("DELETED", "a", 10), ("MODIFIED", "b", 11)),
    )
    assert follow(client, 4) == [{"a"}, {"a", "b"}, {"b"}, {"b"}]
    assert asked == ["list", "watch 5", "watch 9"]


@pytest.mark.parametrize(
    "expired",
    [
        httpx.Response(410, json=EXPIRED),
        httpx.Response(200, content=msgspec.json.encode({"type": "ERROR", "object": EXPIRED}) + b"\n"),
    ],
    ids=["status", "event"],
)
def test_follow_lists_again_when_its_revision_is_compacted(expired: httpx.Response) -> None:
    client, asked = scripted(listed(5, "a"), expired, listed(70, "b", "c"))
    assert follow(client, 2) == [{"a"}, {"b", "c"}]
    assert asked == ["list", "watch 5", "list"]


def test_follow_waits_for_a_server_that_is_not_there_yet() -> None:
    client, asked = scripted(httpx.Response(503, json={"message": "not ready"}), listed(5, "a"))
    assert follow(client, 1) == [{"a"}]
    assert asked == ["list", "list"]


def test_follow_gives_up_when_it_may_not_read() -> None:
    client, _ = scripted(httpx.Response(403, json={"message": "no"}))
    with pytest.raises(Denied):
        follow(client, 1)


def test_last_line_counts_without_its_newline_and_empty_lines_do_not() -> None:
    client, _ = scripted(
        listed(5),
        httpx.Response(200, content=b'\n{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"6"}}}'),
    )
    assert follow(client, 2) == [set(), {"x"}]
