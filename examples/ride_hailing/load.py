"""Sends a steady rate of whole rides through a gateway and says how they went.

    python -m ride_hailing.load --url http://127.0.0.1:8080 --host rides.example --rate 10 --seconds 30

A ride is three calls: log in, ride, look the ride up. Every few seconds one line says how it goes; the last line is a
JSON summary. Exit status 1 when a ride failed.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ride_hailing.city import PLACES
from ride_hailing.client import CallFailed, Client
from ride_hailing.http import Refused

USERS = 200
SHOWN_ERRORS = 5


@dataclass
class Tally:
    """What happened so far."""

    rides: int = 0
    failed: int = 0
    late: int = 0
    """Rides that were not begun because too many were still on their way."""
    times_s: deque[float] = field(default_factory=lambda: deque(maxlen=20_000))
    coupons: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def percentile_ms(self, share: float) -> float:
        """Return the time that this share of rides stayed below."""
        times = sorted(self.times_s)
        return round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 1) if times else 0.0

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return everything as a document."""
        return {
            "rides": self.rides,
            "failed": self.failed,
            "late": self.late,
            "rides_per_s": round(self.rides / seconds, 2) if seconds else 0.0,
            "p50_ms": self.percentile_ms(0.5),
            "p99_ms": self.percentile_ms(0.99),
            "coupons": dict(sorted(self.coupons.items())),
            "errors": dict(self.errors.most_common(SHOWN_ERRORS)),
        }


@dataclass
class Load:
    """Rides at a steady rate against one address."""

    client: Client
    url: str
    host: str
    rate: float
    at_once: int = 64
    tally: Tally = field(default_factory=Tally)

    async def ride(self, user: str, start: str, end: str) -> str:
        """Take one ride and check that it came to its end; return which version of coupons served it."""
        headers = {"host": self.host} if self.host else {}
        credentials = {"user": user, "password": f"{user} rides"}
        login = (await self.client.call("POST", f"{self.url}/login", credentials, headers)).expect("login")
        headers["authorization"] = f"Bearer {login['token']}"
        places = {"from": start, "to": end}
        ride = (await self.client.call("POST", f"{self.url}/rides", places, headers)).expect("ride")
        seen = (await self.client.call("GET", f"{self.url}/rides/{ride['ride']}", None, headers)).expect("look up")
        if seen["status"] != "paid" or seen["driver"] != ride["driver"]:
            raise CallFailed(f"the ride ended as {seen['status']} with driver {seen['driver']!r}")
        return str(ride["coupon"]["version"])

    async def _counted(self) -> None:
        start, end = random.sample(PLACES, 2)
        begun = time.perf_counter()
        try:
            version = await self.ride(f"passenger-{random.randrange(USERS):03}", start, end)
        except (CallFailed, Refused, KeyError) as error:
            self.tally.failed += 1
            self.tally.errors[str(error)[:200]] += 1
        else:
            self.tally.coupons[version] += 1
        self.tally.rides += 1
        self.tally.times_s.append(time.perf_counter() - begun)

    async def run(self, seconds: float | None) -> float:
        """Begin rides at the rate until the time is over; return how long that was."""
        loop = asyncio.get_running_loop()
        begun = due = loop.time()
        on_their_way: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while seconds is None or loop.time() - begun < seconds:
                if len(on_their_way) < self.at_once:
                    task = group.create_task(self._counted())
                    on_their_way.add(task)
                    task.add_done_callback(on_their_way.discard)
                else:
                    self.tally.late += 1
                due += 1 / self.rate
                await asyncio.sleep(max(0.0, due - loop.time()))
        return loop.time() - begun


async def report(tally: Tally, every_s: float) -> None:
    """Print a line every few seconds."""
    former = 0
    while True:
        await asyncio.sleep(every_s)
        rate = (tally.rides - former) / every_s
        former = tally.rides
        mix = " ".join(f"coupons-{version}={count}" for version, count in sorted(tally.coupons.items()))
        sys.stdout.write(
            f"rides={tally.rides} failed={tally.failed} rate={rate:.1f}/s "
            f"p50={tally.percentile_ms(0.5)}ms p99={tally.percentile_ms(0.99)}ms {mix}\n"
        )
        sys.stdout.flush()


async def drive(options: argparse.Namespace) -> int:
    """Run the load, report, and sum up."""
    begun = time.monotonic()
    async with Client(timeout_s=options.timeout) as client, asyncio.TaskGroup() as group:
        load = Load(client, options.url.rstrip("/"), options.host, options.rate)
        reporter = None if options.quiet else group.create_task(report(load.tally, options.every))
        runner = group.create_task(load.run(options.seconds))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, runner.cancel)
        with suppress(asyncio.CancelledError):
            await runner
        if reporter is not None:
            reporter.cancel()
    sys.stdout.write(json.dumps(load.tally.summary(time.monotonic() - begun)) + "\n")
    return 1 if load.tally.failed or not load.tally.rides else 0


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="ride_hailing.load", description="Send a steady rate of rides.")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the gateway")
    parser.add_argument("--host", default="rides.example", help="the Host header; empty for the one in the URL")
    parser.add_argument("--rate", type=float, default=10.0, help="rides per second")
    parser.add_argument("--seconds", type=float, default=None, help="how long; for ever when not given")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two lines")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds one call may take")
    parser.add_argument("--quiet", action="store_true", help="print nothing but the summary")
    options = parser.parse_args()
    if options.rate <= 0:
        parser.error("--rate must be more than 0")
    return asyncio.run(drive(options))


if __name__ == "__main__":
    sys.exit(main())
