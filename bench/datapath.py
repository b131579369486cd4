"""What Skep's configuration costs a request, against the same Envoy with a hand-written static one of the same filters.

Gateway → service, and sidecar → sidecar, each beside its static twin in the same run: alternating rounds, medians of the
rounds' ratios. Run: `.venv/bin/python -m bench.datapath`.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.backend import backend, envoy, wait_for
from bench.platform import Platform, free_ports, platform, registration
from bench.report import Bar, report
from bench.static_mesh import gateway, inbound, outbound
from bench.wrk import Load, wrk

ROUNDS = 9
SECONDS = 3
HOST = "echo"
PAIRED = "paired"
NAMESPACE = "default"


def main() -> None:
    """Measure both paths and report."""
    figures: dict[str, float] = {}
    bars: list[Bar] = []
    with ExitStack() as stack:
        service = stack.enter_context(backend())
        skep = stack.enter_context(platform("up"))
        skep.call("POST", "/registry/v1/instances", {"instances": [registration(NAMESPACE, HOST, 1, service)]})
        paths = {
            "gateway": (skep_gateway(skep), stack.enter_context(static_gateway(service))),
            "sidecars": (
                stack.enter_context(skep_sidecars(skep)),
                stack.enter_context(static_sidecars(service)),
            ),
        }
        for name, (ours, theirs) in paths.items():
            wait_for(ours, headers={"Host": PAIRED})
            throughput, latency, failed = compare(name, ours, theirs, figures)
            bars += [
                Bar(f"{name}_throughput_ratio", throughput, ">=", 0.95),
                Bar(f"{name}_p99_ratio", latency, "<=", 1.10),
                Bar(f"{name}_failed_requests", failed, "==", 0),
            ]
    report("datapath", figures, bars)


def compare(name: str, ours: str, theirs: str, figures: dict[str, float]) -> tuple[float, float, int]:
    """Measure two URLs in alternating rounds; return the median ratios of throughput and p99, and how many calls failed."""
    rounds: list[tuple[Load, Load]] = []
    load(ours)
    load(theirs)
    for number in range(ROUNDS):
        if number % 2:
            second, first = load(theirs), load(ours)
        else:
            first, second = load(ours), load(theirs)
        rounds.append((first, second))
        print(f"{name} round {number + 1}: skep {first.requests_per_s:.0f}/s p99 {first.p99_ms:.2f} ms, "
              f"static {second.requests_per_s:.0f}/s p99 {second.p99_ms:.2f} ms", flush=True)  # fmt: skip
    for which, index in (("skep", 0), ("static", 1)):
        figures[f"{name}_{which}_requests_per_s"] = statistics.median(r[index].requests_per_s for r in rounds)
        figures[f"{name}_{which}_p99_ms"] = statistics.median(r[index].p99_ms for r in rounds)
    return (
        statistics.median(a.requests_per_s / b.requests_per_s for a, b in rounds),
        statistics.median(a.p99_ms / b.p99_ms for a, b in rounds),
        sum(a.failed for a, _ in rounds),
    )


def load(url: str) -> Load:
    """Drive one side for a while."""
    return wrk(url, seconds=SECONDS, headers=(f"Host: {PAIRED}",))


def skep_gateway(skep: Platform) -> str:
    """Attach a route at the default Gateway; return its URL."""
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": HOST, "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": "edge"}],
            "rules": [{"backendRefs": [{"name": HOST, "port": 80}]}],
        },
    }
    skep.call("POST", f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes", route)
    return f"http://127.0.0.1:{skep.gateway_port}/"


@contextmanager
def static_gateway(service: int) -> Iterator[str]:
    """Run the gateway written by hand."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/"
    with envoy(gateway(port, service, "*"), url):
        yield url


@contextmanager
def skep_sidecars(skep: Platform) -> Iterator[str]:
    """Run the service and a caller, each beside a sidecar; yields the URL of the caller's."""
    (service,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        said = Path(folder) / "proxy"
        stack.enter_context(run(skep, PAIRED, service, f"exec {sys.executable} -m bench.backend {service}"))
        stack.enter_context(run(skep, "caller", None, f'echo "$http_proxy" > {said}; exec sleep 3600'))
        deadline = time.monotonic() + 30
        while not (said.exists() and said.read_text().strip()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the caller's sidecar did not start:\n{skep.log.read_text()}")
            time.sleep(0.05)
        yield said.read_text().strip() + "/"


@contextmanager
def run(skep: Platform, service: str, port: int | None, script: str) -> Iterator[None]:
    """Run a command with `skep run`."""
    options = ["--service", service, "--probe", "none", *(["--port", str(port)] if port else [])]
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("skep")), "run", *options, "--", "sh", "-c", script], env=skep.env
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def static_sidecars(service: int) -> Iterator[str]:
    """Run two sidecars written by hand."""
    near, far = free_ports(2)
    url = f"http://127.0.0.1:{near}/"
    with envoy(inbound(far, service), f"http://127.0.0.1:{far}/"), envoy(outbound(near, far, "*"), url):
        yield url


if __name__ == "__main__":
    main()
