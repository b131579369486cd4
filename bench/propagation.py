"""How fast a change of a service's instances reaches every proxy that calls it.

A real control plane in its own process, 1,000 delta-ADS clients in another, and changes registered over HTTP from here:
measured from the register call to the last client's receipt, on one clock. Done once among few services, then again with
10,000 others registered.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from bench.report import Bar, report
from tests.support.control_plane import ControlPlane

CLIENTS = 1_000
CHANGES = 50
WARM_UP = 5
OTHERS = 10_000
BATCH = 1_000
NAMESPACE = "bench"
LEASE_S = 3_600
PAUSE_S = 0.1
"""Between changes: each is measured alone."""


def instance(service: str, number: int) -> dict[str, object]:
    """Describe an instance as the registry's API takes it."""
    return {
        "namespace": NAMESPACE,
        "service": service,
        "id": f"{service}-{number}",
        "address": f"127.0.{number // 250}.{number % 250 + 1}",
        "port": 9000,
        "leaseSeconds": LEASE_S,
    }


async def register(http: httpx.AsyncClient, *instances: dict[str, object]) -> None:
    """Register instances, durably."""
    answer = await http.post("/registry/v1/instances", json={"instances": instances})
    answer.raise_for_status()


class Clients:
    """The process of the clients."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.strangers = 0

    async def line(self) -> dict[str, object]:
        """Read what it says next."""
        assert self._process.stdout is not None
        async with asyncio.timeout(120):
            said = await self._process.stdout.readline()
        if not said:
            raise RuntimeError("the clients ended")
        line: dict[str, object] = json.loads(said)
        return line

    async def last_receipt_s(self) -> float:
        """Wait until a new version has reached the last client; return when that was."""
        line = await self.line()
        self.strangers = int(str(line["strangers"]))
        return float(str(line["last_s"]))


@contextlib.asynccontextmanager
async def clients(plane: ControlPlane, count: int) -> AsyncIterator[Clients]:
    """Run the clients until the block ends; starts when all have their first answer."""
    names = ("--upstream", f"{NAMESPACE}/target:80", "--stranger", f"{NAMESPACE}/other:80")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.xds_clients"),
        *("--xds", f"127.0.0.1:{plane.grpc_port}", "--token", plane.token("agent")),
        *("--clients", str(count), *names),
        stdout=asyncio.subprocess.PIPE,
    )
    running = Clients(process)
    try:
        await running.line()
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def measure(http: httpx.AsyncClient, running: Clients, first: int, changes: int) -> list[float]:
    """Register one instance after another; return how long each took to reach the last client, in milliseconds."""
    took: list[float] = []
    for number in range(first, first + WARM_UP + changes):
        await asyncio.sleep(PAUSE_S)
        started = time.monotonic()
        await register(http, instance("target", number))
        took.append((await running.last_receipt_s() - started) * 1000)
    return took[WARM_UP:]


def quantile(values: list[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, round(share * len(values) + 0.499) - 1)]


async def run(plane: ControlPlane, count: int, changes: int, others: int) -> None:
    """Measure, and print the report."""
    headers = {"authorization": f"Bearer {plane.token('agent')}"}
    async with httpx.AsyncClient(base_url=plane.url, headers=headers, timeout=60) as http:
        await register(http, instance("target", 0), instance("other", 0))
        async with clients(plane, count) as running:
            few = await measure(http, running, 1, changes)
            for start in range(0, others, BATCH):
                await register(http, *(instance(f"s{n}", n) for n in range(start, start + BATCH)))
            many = await measure(http, running, 1 + WARM_UP + changes, changes)
            strangers = running.strangers
    p99_few, p99_many = quantile(few, 0.99), quantile(many, 0.99)
    figures = {
        "clients": count,
        "changes": changes,
        "p50_ms": quantile(few, 0.5),
        "p99_ms": p99_few,
        "p50_with_10000_services_ms": quantile(many, 0.5),
        "p99_with_10000_services_ms": p99_many,
        "p99_ratio": p99_many / p99_few,
        "p50_ratio": quantile(many, 0.5) / quantile(few, 0.5),
        "received_by_a_client_of_another_service": strangers,
    }
    report(
        "propagation",
        figures,
        [
            Bar("p99_ms", p99_few, "<=", 250),
            Bar("p99_with_10000_services_against_few", p99_many / p99_few, "<=", 1.2),
            Bar("received_by_a_client_of_another_service", strangers, "==", 0),
        ],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument("--others", type=int, default=OTHERS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as folder, ControlPlane(Path(folder)) as control_plane:
        asyncio.run(run(control_plane, given.clients, given.changes, given.others))
