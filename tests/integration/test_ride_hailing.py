"""The reference application as plain processes, with a small forward proxy in the place of the mesh."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from ride_hailing.client import Client
from ride_hailing.load import Load
from tests.support.forwarder import Forwarder

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SERVICES = (
    ("gateway-api", "v1"),
    ("login", "v1"),
    ("route-analysis", "v1"),
    ("coupons", "v1"),
    ("coupons", "v2"),
    ("ordering", "v1"),
    ("ordering", "v1"),
    ("matching", "v1"),
    ("order-grabbing", "v1"),
    ("payment", "v1"),
)


@asynccontextmanager
async def running(name: str, version: str, proxy: int, state: Path) -> AsyncIterator[int]:
    """Run one service; gives its port and checks that it stops in order."""
    env = {
        "PORT": "0",
        "http_proxy": f"http://127.0.0.1:{proxy}",
        "STATE_DIR": str(state),
        "VERSION": version,
        "TOKEN_KEY": "test",
        "DRAIN_S": "0.1",
    }
    module = f"ride_hailing.{name.replace('-', '_')}"
    process: Process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=EXAMPLES, env=env, stdout=PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        yield int(line.rsplit(" ", 1)[1])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(60):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            raise
    assert status == 0


@asynccontextmanager
async def company(state: Path) -> AsyncIterator[tuple[Forwarder, int]]:
    """Run every service behind one forwarder; gives it and its port."""
    ports: dict[str, list[int]] = {}
    forwarder = Forwarder({})
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(forwarder.serving())
        for name, version in SERVICES:
            ports.setdefault(name, []).append(await stack.enter_async_context(running(name, version, proxy, state)))
        forwarder.learn(ports)
        yield forwarder, proxy


def test_a_whole_ride_passes_through_every_service(tmp_path: Path) -> None:
    async def ride() -> None:
        async with company(tmp_path) as (forwarder, port), Client() as client:
            load = Load(client, f"http://127.0.0.1:{port}", "gateway-api", rate=20)
            versions = Counter([await load.ride("ann", "harbour", "airport") for _ in range(4)])
            assert versions == {"v1": 2, "v2": 2}
            assert {host for host, _ in forwarder.calls} == {name for name, _ in SERVICES}
            context = [message.headers for host, message in forwarder.calls if host == "order-grabbing"]
            assert all(headers["x-user"] == "ann" and headers["x-request-id"] for headers in context)
            refused = await client.call("POST", f"http://127.0.0.1:{port}/rides", {}, {"host": "gateway-api"})
            assert refused.status == 401

    asyncio.run(ride())


def test_rides_at_a_steady_rate_all_come_to_their_end(tmp_path: Path) -> None:
    async def drive() -> None:
        async with company(tmp_path) as (_forwarder, port), Client() as client:
            load = Load(client, f"http://127.0.0.1:{port}", "gateway-api", rate=20)
            seconds = await load.run(3)
            summary = load.tally.summary(seconds)
            assert summary["failed"] == 0, summary
            assert summary["rides"] > 30, summary

    asyncio.run(drive())
