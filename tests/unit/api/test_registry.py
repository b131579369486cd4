"""The fast path of beats, called as a server calls it, without a socket."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from skep.api.registry import LeaseFastPath
from skep.auth.policy import Role
from skep.auth.tokens import Tokens
from skep.clock import FakeClock
from skep.model.instance import Instance
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.registry.service import Registry
from skep.store.backends.memory import MemoryBackend
from skep.store.store import Store

PATH = "/registry/v1/namespaces/default/services/orders/instances/a/lease"
BEAT: dict[str, Any] = {
    "type": "http",
    "method": "PUT",
    "path": PATH,
    "headers": [(b"host", b"x"), (b"authorization", b"Bearer agent-token")],
}


def serve(**changes: Any) -> tuple[int | str, float]:
    """Send one request; return what answered it, and how many seconds of the lease are left."""

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        answered.append("behind")

    async def receive() -> Message:
        raise AssertionError("a beat has no body to read")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    async def run() -> float:
        clock = FakeClock()
        store = Store(MemoryBackend(), clock=clock)
        await store.open()
        registry = Registry(store, clock)
        key = Instance(Namespace("default"), ServiceName("orders"), InstanceId("a"), address="10.0.0.7", port=80)
        await registry.register([key])
        clock.advance(5)
        tokens = Tokens({Role.AGENT: "agent-token"})
        await LeaseFastPath(behind, registry, tokens.subject)({**BEAT, **changes}, receive, send)
        (view,) = registry.query()
        return (view.lease.expires - clock.now()).total_seconds()

    answered: list[int | str] = []
    left_s = asyncio.run(run())
    (by,) = answered
    return by, left_s


def test_beat_of_a_known_instance_is_answered_at_once() -> None:
    assert serve() == (204, 15.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "lifespan"},
        {"method": "GET"},
        {"path": PATH.replace("/a/", "/b/")},
        {"path": PATH.replace("/a/", "/a/b/")},
        {"path": PATH.replace("/services/", "/service/")},
        {"path": PATH + "/"},
        {"path": "/lease"},
        {"headers": []},
        {"headers": [(b"authorization", b"Bearer wrong")]},
        {"headers": [(b"authorization", b"Basic agent-token")]},
        {"headers": [*BEAT["headers"], (b"content-length", b"20")]},
        {"headers": [*BEAT["headers"], (b"transfer-encoding", b"chunked")]},
    ],
)
def test_everything_unusual_is_left_to_what_is_behind(changes: dict[str, Any]) -> None:
    assert serve(**changes) == ("behind", 10.0)


def test_empty_body_that_is_announced_is_still_a_beat() -> None:
    assert serve(headers=[*BEAT["headers"], (b"content-length", b"0")]) == (204, 15.0)
