"""The reference application's own HTTP over real sockets: kept connections, stopping, hostile bytes."""

import asyncio
from typing import Any

import pytest

from ride_hailing.client import CallFailed, Client
from ride_hailing.http import Request
from ride_hailing.load import Load, Tally
from ride_hailing.service import Service


def echo(began: asyncio.Event | None = None, go_on: asyncio.Event | None = None) -> Service:
    service = Service("echo", client=Client())

    @service.on("POST", "/echo")
    async def answer(request: Request) -> dict[str, Any]:
        if began and go_on:
            began.set()
            await go_on.wait()
        return {"said": request.json, "user": request.headers.get("x-user", "")}

    return service


def test_connections_are_kept_and_a_closed_one_is_replaced() -> None:
    async def run() -> None:
        async with Client() as client:
            async with echo().serving("127.0.0.1", 0) as port:
                url = f"http://127.0.0.1:{port}/echo"
                for number in range(3):
                    answer = await client.call("POST", url, {"n": number}, {"x-user": "ann"})
                    assert answer.json == {"said": {"n": number}, "user": "ann"}
                assert len(client.idle[("127.0.0.1", port)]) == 1
            async with echo().serving("127.0.0.1", port):
                assert (await client.call("POST", url, {"again": True})).status == 200
            with pytest.raises(CallFailed):
                await client.call("POST", url, {})

    asyncio.run(run())


def test_a_request_in_progress_is_answered_before_the_service_ends() -> None:
    async def run() -> None:
        began, go_on = asyncio.Event(), asyncio.Event()
        async with Client() as client, asyncio.TaskGroup() as group:
            async with echo(began, go_on).serving("127.0.0.1", 0) as port:
                call = group.create_task(client.call("POST", f"http://127.0.0.1:{port}/echo", {"last": 1}))
                await began.wait()
                asyncio.get_running_loop().call_soon(go_on.set)
            answer = await call
            assert answer.json["said"] == {"last": 1}
            assert answer.headers["connection"] == "close"

    asyncio.run(run())


@pytest.mark.parametrize("hostile", [b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\nbroken\r\n\r\n", b"A" * 100_000])
def test_hostile_bytes_get_a_400_and_harm_nobody(hostile: bytes) -> None:
    async def run() -> None:
        async with echo().serving("127.0.0.1", 0) as port, Client() as client:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(hostile)
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
            writer.close()
            assert (await client.call("POST", f"http://127.0.0.1:{port}/echo", {})).status == 200

    asyncio.run(run())


def test_an_answer_that_does_not_come_in_time_is_a_failed_call() -> None:
    async def run() -> None:
        began, go_on = asyncio.Event(), asyncio.Event()
        async with echo(began, go_on).serving("127.0.0.1", 0) as port, Client(timeout_s=0.05) as client:
            with pytest.raises(CallFailed):
                await client.call("POST", f"http://127.0.0.1:{port}/echo", {})
            go_on.set()

    asyncio.run(run())


def test_the_load_counts_what_failed_and_why() -> None:
    async def run() -> Tally:
        async with echo().serving("127.0.0.1", 0) as port, Client() as client:
            load = Load(client, f"http://127.0.0.1:{port}", "", rate=50)
            await load.run(0.2)
            return load.tally

    tally = asyncio.run(run())
    summary = tally.summary(0.2)
    assert summary["rides"] == summary["failed"] > 0
    assert list(summary["errors"]) == ["login: 404 echo has no /login"]
