"""How much the registry carries: 10,000 beating instances, single beats, durable registrations; on the real server.

Run as `python -m bench.registry`. The load comes from a process of its own, which is this module started with `load`.
A no-op endpoint on the same HTTP server library is measured in the same run: what is left between the two is ours.
"""

import asyncio
import itertools
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import psutil
import uvicorn
import uvloop

from bench.http_load import Tally, drive, render_request
from bench.platform import Platform, free_ports, platform
from bench.report import Bar, report

INSTANCES = 10_000
PER_AGENT = 50
PER_REGISTRATION = 250
BEAT_S = 5.0
LEASE_S = 15
BEATING_S = 60.0
SINGLE_BEATS = 40_000
CONNECTIONS = 32
ROUNDS = 3
PREFIX = "/registry/v1"


def main() -> None:
    """Run it all and print the report."""
    if sys.argv[1:2] == ["load"]:
        uvloop.run(LOADS[sys.argv[2]](*sys.argv[3:]))
        return
    with platform("server") as running:
        figures = {"idle_rss_mb": psutil.Process(running.process.pid).memory_info().rss / 1e6}
        figures |= run_load(running, "register")
        figures |= measure_steady(running)
        noop = subprocess.Popen([sys.executable, "-m", "bench.registry", "load", "noop", str(port := free_ports(1)[0])])
        try:
            wait_listening(port)
            run_load(running, "prolong")  # while the no-op is measured nobody beats
            rounds = [run_load(running, "single", str(port)) for _ in range(ROUNDS)]
        finally:
            noop.kill()
            noop.wait()
    for name in rounds[0]:
        figures[name] = _median([each[name] for each in rounds])
    figures["single_beats_of_noop_ratio"] = figures["single_beats_per_s"] / figures["noop_requests_per_s"]
    report("registry", figures, bars(figures))


def bars(figures: dict[str, float]) -> list[Bar]:
    """Return what is promised."""
    return [
        Bar("false_expiries", figures["false_expiries"], "==", 0),
        Bar("beating_cpu_percent_of_core", figures["beating_cpu_percent_of_core"], "<=", 40),
        Bar("beating_rss_mb", figures["beating_rss_mb"], "<=", 400),
        Bar("single_beats_per_s", figures["single_beats_per_s"], ">=", 6_500),
        Bar("registrations_per_s", figures["registrations_per_s"], ">=", 4_600),
    ]


def measure_steady(running: Platform) -> dict[str, float]:
    """Let every instance beat for a while, and watch the control plane's process."""
    server = psutil.Process(running.process.pid)
    before, began = server.cpu_times(), time.perf_counter()
    figures = run_load(running, "steady")
    after, took_s = server.cpu_times(), time.perf_counter() - began
    busy_s = after.user + after.system - before.user - before.system
    known = running.call("GET", f"{PREFIX}/instances")["instances"]
    return figures | {
        "false_expiries": float(INSTANCES - len(known)) + figures.pop("unknown"),
        "beating_cpu_percent_of_core": 100 * busy_s / took_s,
        "beating_rss_mb": server.memory_info().rss / 1e6,
    }


def wait_listening(port: int, limit_s: float = 30.0) -> None:
    """Wait until something accepts connections on a port."""
    deadline = time.perf_counter() + limit_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.perf_counter() > deadline:
                raise
            time.sleep(0.02)


def run_load(running: Platform, load: str, *more: str) -> dict[str, float]:
    """Run one load in a process of its own and return its figures."""
    command = [
        sys.executable,
        "-m",
        "bench.registry",
        "load",
        load,
        str(running.http_port),
        running.token("agent"),
        *more,
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=300, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


async def register(port: str, token: str) -> None:
    """Register all, in batches over a few connections; some rounds, with everything deregistered between them."""
    batches = [range(first, first + PER_REGISTRATION) for first in range(0, INSTANCES, PER_REGISTRATION)]
    requests = [_post(f"{PREFIX}/instances", token, [_registration(n) for n in batch]) for batch in batches]
    removals = [_post(f"{PREFIX}/deregistrations", token, [_names(n) for n in batch]) for batch in batches]
    rates, latencies_ms = [], []
    for number in range(ROUNDS):
        if number:
            _expect(await drive(int(port), iter(removals), 4), 200)
        began = time.perf_counter()
        tally = await drive(int(port), iter(requests), 4)
        rates.append(INSTANCES / (time.perf_counter() - began))
        latencies_ms.append(_p99_ms(tally))
        _expect(tally, 200)
    print(json.dumps({"registrations_per_s": _median(rates), "registration_batch_p99_ms": _median(latencies_ms)}))


async def prolong(port: str, token: str) -> None:
    """Register all again with a lease that outlives the rest."""
    items = [_registration(n) | {"leaseSeconds": 3600} for n in range(INSTANCES)]
    firsts = range(0, INSTANCES, PER_REGISTRATION)
    requests = [_post(f"{PREFIX}/instances", token, items[first : first + PER_REGISTRATION]) for first in firsts]
    _expect(await drive(int(port), iter(requests), 4), 200)
    print("{}")


async def steady(port: str, token: str) -> None:
    """Beat as 200 agents do, each at its own moment of every interval."""
    agents = INSTANCES // PER_AGENT
    beats = [
        _post(f"{PREFIX}/leases", token, [_names(n) for n in range(first, first + PER_AGENT)])
        for first in range(0, INSTANCES, PER_AGENT)
    ]
    tally = Tally()
    began = time.perf_counter()
    for number in itertools.count():
        due_s = number * BEAT_S / agents
        if due_s > BEATING_S:
            break
        await asyncio.sleep(max(0.0, began + due_s - time.perf_counter()))
        # Each agent has a connection of its own, opened anew, which is dearer for the server than keeping it.
        one = await drive(int(port), iter([beats[number % agents]]), 1)
        tally.statuses += one.statuses
        tally.latencies_s += one.latencies_s
        tally.bodies += one.bodies
    _expect(tally, 200)
    unknown = sum(len(json.loads(body)["unknown"]) for body in tally.bodies)
    print(json.dumps({"unknown": unknown, "beat_batch_p99_ms": _p99_ms(tally)}))


async def single(port: str, token: str, noop_port: str) -> None:
    """Send beats of single instances, and as many requests to the no-op, at full speed."""
    beats = [
        render_request("PUT", f"{PREFIX}/namespaces/default/services/{n['service']}/instances/{n['id']}/lease", token)
        for n in map(_names, range(INSTANCES))
    ]
    figures = {}
    for name, to_port in (("noop_requests_per_s", noop_port), ("single_beats_per_s", port)):
        began = time.perf_counter()
        tally = await drive(int(to_port), _first(SINGLE_BEATS, beats), CONNECTIONS)
        figures[name] = SINGLE_BEATS / (time.perf_counter() - began)
        _expect(tally, 204)
    print(json.dumps(figures | {"single_beat_p99_ms": _p99_ms(tally)}))


async def noop(port: str) -> None:
    """Serve the reference: the same HTTP server, and an app that answers 204 to everything."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(
        app, port=int(port), http="httptools", log_config=None, access_log=False, server_header=False, lifespan="off"
    )
    await uvicorn.Server(config).serve()


LOADS: Mapping[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "register": register,
    "prolong": prolong,
    "steady": steady,
    "single": single,
    "noop": noop,
}


def _names(number: int) -> dict[str, str]:
    return {"namespace": "default", "service": f"service-{number // 10}", "id": f"instance-{number}"}


def _registration(number: int) -> dict[str, Any]:
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255 or 1}"
    about = {"address": address, "port": 9000, "leaseSeconds": LEASE_S, "zone": "a", "labels": {"version": "v1"}}
    return {**_names(number), **about, "source": f"agent-{number // PER_AGENT}"}


def _post(path: str, token: str, instances: list[Any]) -> bytes:
    return render_request("POST", path, token, json.dumps({"instances": instances}).encode())


def _first(count: int, requests: list[bytes]) -> Iterator[bytes]:
    return itertools.islice(itertools.cycle(requests), count)


def _expect(tally: Tally, status: int) -> None:
    if set(tally.statuses) != {status}:
        raise RuntimeError(f"the server answered {dict(tally.statuses)}: {tally.bodies[-1:]}")


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _p99_ms(tally: Tally) -> float:
    return 1000 * sorted(tally.latencies_s)[int(0.99 * (len(tally.latencies_s) - 1))]


if __name__ == "__main__":
    main()
