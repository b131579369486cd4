"""One port, plain and encrypted, on both event loops; watches do not keep a stopping server."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from skep.api.listener import EitherServer, tls_context
from skep.auth.certificates import ensure_api_certificate
from skep.clock import SystemClock
from tests.support.api_server import running_api

LIMIT_S = 60
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


async def scheme(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_first_byte_tells_plain_from_encrypted(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    certificate, key = ensure_api_certificate(tmp_path, "127.0.0.1", SystemClock().now())
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def visit(port: int) -> None:
        silent = await asyncio.open_connection("127.0.0.1", port)
        rude = await asyncio.open_connection("127.0.0.1", port)
        rude[1].write(b"\x16\x03\x01 this is no handshake")
        gone = await asyncio.open_connection("127.0.0.1", port)
        gone[1].close()
        async with httpx.AsyncClient(verify=trusting, timeout=LIMIT_S) as client:
            for _ in range(3):
                assert (await client.get(f"http://127.0.0.1:{port}/")).text == "http"
                assert (await client.get(f"https://127.0.0.1:{port}/")).text == "https"
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(verify=ssl.create_default_context()) as stranger:
                await stranger.get(f"https://127.0.0.1:{port}/")
        for _, writer in (silent, rude):
            writer.close()

    async def run() -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            bound.listen()
            config = uvicorn.Config(scheme, log_config=None, lifespan="off", loop="none", http="httptools")
            server = EitherServer(config, tls_context(certificate, key))
            async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
                group.create_task(server.serve(sockets=[bound]))
                await visit(bound.getsockname()[1])
                server.should_exit = True

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


def test_open_watch_does_not_keep_the_server(tmp_path: Path) -> None:
    with running_api(tmp_path) as server, httpx.Client(timeout=LIMIT_S) as client:
        headers = {"authorization": f"Bearer {server.admin_token}"}
        with client.stream("GET", f"{server.url}/api/v1/services?watch=true", headers=headers) as response:
            assert response.status_code == 200
            server.stop()
            assert list(response.iter_lines()) == []
