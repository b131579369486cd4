"""Ten thousand HTTPRoutes on one Gateway: how soon a change of one is live, whether anything fails meanwhile, and whether
the last route costs more than the first. Run: `.venv/bin/python -m bench.routes`.
"""

import concurrent.futures
import statistics
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from bench.backend import backend, wait_for
from bench.platform import Platform, platform, registration, rss_mb
from bench.report import Bar, report
from bench.wrk import wrk

ROUTES = 10_000
CHANGES = 20
PAUSE_S = 0.5
ROUNDS = 11
SETTLE_S = 3
NAMESPACE = "default"
ROUTE_API = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes"


def main() -> None:
    """Apply the routes, change some under load, compare the first with the last, report."""
    with ExitStack() as stack:
        service = stack.enter_context(backend())
        skep = stack.enter_context(platform("up"))
        skep.call("POST", "/registry/v1/instances", {"instances": [registration(NAMESPACE, "echo", 1, service)]})
        gateway = f"http://127.0.0.1:{skep.gateway_port}"
        figures = {"apply_s": apply_all(skep, gateway)}
        time.sleep(SETTLE_S)  # what follows is about changing one, not about the end of applying all
        live, failed = change_under_load(skep, gateway)
        figures |= {
            "change_live_median_s": statistics.median(live),
            "change_live_max_s": max(live),
            "routes_loaded_rss_of_skep_up_mb": rss_mb(skep.process.pid),
        }
        extra = last_against_first(gateway, figures)
    bars = [
        Bar("change_live_max_s", max(live), "<", 1.0),
        Bar("failed_requests_during_changes", failed, "==", 0),
        Bar("last_route_extra_p99_ms", extra, "<", 0.2),
    ]
    report("routes", figures, bars)


def route(number: int, version: int) -> Mapping[str, Any]:
    """Return one route: a path of its own, and a header that shows its version."""
    header = {"set": [{"name": "x-version", "value": str(version)}]}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/service-{number:05d}"}}],
        "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": header}],
        "backendRefs": [{"name": "echo", "port": 80}],
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"route-{number:05d}", "namespace": NAMESPACE},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [rule]},
    }


def apply_all(skep: Platform, gateway: str) -> float:
    """Create every route over the API; return how long it took until the last is live and all are told so."""
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done, _ in enumerate(pool.map(lambda n: skep.call("POST", ROUTE_API, route(n, 0)), range(ROUTES)), 1):
            if done % 1000 == 0:
                print(f"{done} routes after {time.perf_counter() - started:.1f} s", flush=True)
    wait_for(f"{gateway}/service-{ROUTES - 1:05d}", limit_s=120)
    while not everything_is_told(skep):
        time.sleep(0.2)
    return time.perf_counter() - started


def everything_is_told(skep: Platform) -> bool:
    """Tell whether the statuses show every route, as somebody who waits for the end of an apply would look."""
    gateway = skep.call("GET", ROUTE_API.replace("httproutes", "gateways/edge"))
    attached = [listener["attachedRoutes"] for listener in gateway["status"]["listeners"]]
    last = skep.call("GET", f"{ROUTE_API}/route-{ROUTES - 1:05d}")
    return attached == [ROUTES] * len(attached) and bool(last.get("status", {}).get("parents"))


def change_under_load(skep: Platform, gateway: str) -> tuple[list[float], int]:
    """Change routes one after another while others are called; return how soon each was live and what failed."""
    stop = threading.Event()
    failures: list[str] = []

    def call_others() -> None:
        number = 0
        while not stop.is_set():
            number = (number + 7919) % ROUTES
            try:
                with urllib.request.urlopen(f"{gateway}/service-{number:05d}", timeout=5):
                    pass
            except OSError as error:
                failures.append(f"service-{number:05d}: {error}")

    callers = [threading.Thread(target=call_others) for _ in range(2)]
    for caller in callers:
        caller.start()
    live = []
    try:
        for change in range(1, CHANGES + 1):
            number = change * (ROUTES // CHANGES) - 1
            live.append(change_one(skep, gateway, number, change))
            time.sleep(PAUSE_S)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    print("changes live after", ", ".join(f"{seconds:.2f}" for seconds in live), "s", flush=True)
    for failure in failures[:5]:
        print("failed:", failure)
    return live, len(failures)


def change_one(skep: Platform, gateway: str, number: int, version: int) -> float:
    """Change one route; return the seconds until the gateway acts on it."""
    started = time.perf_counter()
    skep.call("PATCH", f"{ROUTE_API}/route-{number:05d}", {"spec": route(number, version)["spec"]})
    while time.perf_counter() - started < 30:
        with urllib.request.urlopen(f"{gateway}/service-{number:05d}", timeout=5) as answer:
            if answer.headers.get("x-version") == str(version):
                return time.perf_counter() - started
        time.sleep(0.005)
    raise RuntimeError(f"the change of route {number} is not live after 30 s")


def last_against_first(gateway: str, figures: dict[str, float]) -> float:
    """Return how much more the last route's p99 is than the first's: the median of alternating rounds."""
    rounds = []
    for number in range(ROUNDS):
        first, last = (wrk(f"{gateway}/service-{n:05d}", seconds=2, connections=1).p99_ms for n in (0, ROUTES - 1))
        rounds.append((first, last))
        print(f"round {number + 1}: first p99 {first:.3f} ms, last p99 {last:.3f} ms", flush=True)
    figures["first_route_p99_ms"] = statistics.median(first for first, _ in rounds)
    figures["last_route_p99_ms"] = statistics.median(last for _, last in rounds)
    return statistics.median(last - first for first, last in rounds)


if __name__ == "__main__":
    main()
