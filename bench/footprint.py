"""What Skep costs before it does anything, and what a sidecar costs in a large mesh. Run: `.venv/bin/python -m bench.footprint`."""

import json
import statistics
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from bench.backend import backend, envoy
from bench.datapath import run
from bench.platform import Platform, anonymous_mb, free_ports, platform, registration, rss_mb
from bench.report import Bar, report

STARTS = 3
SETTLE_S = 10
SERVICES = 1000
CALLED = 3


def main() -> None:
    """Measure start-up, idle memory and one sidecar, and report."""
    starts = []
    for _ in range(STARTS):
        with platform("up") as skep:
            starts.append(skep.ready_after_s)
            print(f"skep up answers after {skep.ready_after_s:.2f} s", flush=True)
    with ExitStack() as stack:
        skep = stack.enter_context(platform("up"))
        time.sleep(SETTLE_S)
        server, agent = child(skep, "server"), child(skep, "agent")
        figures: dict[str, float] = {
            "up_answers_median_s": statistics.median(starts),
            "control_plane_idle_rss_mb": rss_mb(server.pid),
            "agent_idle_rss_mb": rss_mb(agent.pid),
            "launcher_idle_rss_mb": rss_mb(skep.process.pid),
            "idle_envoy_anonymous_mb": idle_envoy_mb(),
        }
        service = stack.enter_context(backend())
        clusters, anonymous = measure_sidecar(skep, service, stack)
        figures |= {
            "sidecar_service_clusters": clusters,
            "sidecar_anonymous_mb": anonymous,
            "control_plane_with_1000_services_rss_mb": rss_mb(server.pid),
        }
    extra = anonymous - figures["idle_envoy_anonymous_mb"]
    bars = [
        Bar("up_answers_median_s", figures["up_answers_median_s"], "<=", 3.0),
        Bar("control_plane_idle_rss_mb", figures["control_plane_idle_rss_mb"], "<=", 150),
        Bar("sidecar_service_clusters", clusters, "==", CALLED),
        Bar("sidecar_above_idle_envoy_mb", extra, "<=", 5),
    ]
    report("footprint", figures, bars)


def child(skep: Platform, command: str) -> psutil.Process:
    """Find the process of `skep server` or `skep agent` below `skep up`."""
    for process in psutil.Process(skep.process.pid).children(recursive=True):
        if command in process.cmdline() and "python" in process.name():
            return process
    raise LookupError(f"skep up has no child that runs `{command}`")


def measure_sidecar(skep: Platform, service: int, stack: ExitStack) -> tuple[int, float]:
    """Register many services, let one sidecar call a few; return how many clusters it holds and its anonymous MB."""
    registrations = [registration("default", f"service-{n:04d}", 1, service) for n in range(SERVICES)]
    for start in range(0, SERVICES, 100):
        skep.call("POST", "/registry/v1/instances", {"instances": registrations[start : start + 100]})
    said = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "proxy"
    stack.enter_context(run(skep, "caller", None, f'echo "$http_proxy" > {said}; exec sleep 3600'))
    deadline = time.monotonic() + 30
    while not (said.exists() and said.read_text().strip()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the caller's sidecar did not start:\n{skep.log.read_text()}")
        time.sleep(0.05)
    proxy = urllib.request.build_opener(urllib.request.ProxyHandler({"http": said.read_text().strip()}))
    for number in range(CALLED):
        for _ in range(50):
            with proxy.open(f"http://service-{number * 333:04d}/", timeout=10) as answer:
                answer.read()
    time.sleep(2)
    process = sidecar_process(skep, "caller")
    return service_clusters(admin_of(process)), anonymous_mb(process.pid)


def sidecar_process(skep: Platform, service: str) -> psutil.Process:
    """Find the Envoy of a service's sidecar: the one whose bootstrap names it."""
    for process in psutil.process_iter():
        try:
            arguments = process.cmdline()
        except psutil.Error:
            continue
        if "-c" in arguments and process.name().startswith("envoy"):
            bootstrap = Path(arguments[arguments.index("-c") + 1])
            if skep.folder in bootstrap.parents and f"sidecar/default/{service}/" in bootstrap.read_text():
                return process
    raise LookupError(f"no Envoy runs for {service}")


def admin_of(process: psutil.Process) -> str:
    """Return the URL of an Envoy's admin interface, from its bootstrap."""
    arguments = process.cmdline()
    bootstrap: Any = json.loads(Path(arguments[arguments.index("-c") + 1]).read_text())
    address = bootstrap["admin"]["address"]["socket_address"]
    return f"http://{address['address']}:{address['port_value']}"


def service_clusters(admin: str) -> int:
    """Count the clusters of services that an Envoy holds: not its own application's, nor the control plane's."""
    with urllib.request.urlopen(f"{admin}/config_dump?resource=dynamic_active_clusters", timeout=10) as answer:
        configs = json.load(answer).get("configs", [])
    names = {config["cluster"]["name"] for config in configs}
    print("clusters of the sidecar:", ", ".join(sorted(names)), flush=True)
    return sum(not name.startswith("inbound/") for name in names)


def idle_envoy_mb() -> float:
    """Return the anonymous memory of an Envoy with nothing to do."""
    (port,) = free_ports(1)
    admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    with envoy({"admin": admin}, f"http://127.0.0.1:{port}/ready") as process:
        time.sleep(2)
        return anonymous_mb(process.pid)


if __name__ == "__main__":
    main()
