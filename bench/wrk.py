"""Runs wrk, the load generator, and reads what it says. Installed by `make setup`, from the distribution's package `wrk`."""

import re
import shutil
import subprocess
from typing import NamedTuple


class Load(NamedTuple):
    """What one run of wrk measured."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    """Answers outside 2xx and 3xx, and socket errors."""


def wrk(url: str, *, seconds: int = 5, connections: int = 32, headers: tuple[str, ...] = ()) -> Load:
    """Drive a URL as fast as it answers, from one thread over kept-alive connections."""
    binary = shutil.which("wrk")
    if binary is None:
        raise SystemExit("wrk is not installed: run `make setup` as root, or `apt-get install wrk`")
    command = [binary, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 30, check=True)
    return parse(done.stdout)


def parse(text: str) -> Load:
    """Read wrk's report."""
    failed = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    failed += sum(int(n) for n in errors.groups()) if errors else 0
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None:
        raise ValueError(f"wrk said nothing of use:\n{text}")
    return Load(float(rate[1]), _latency_ms(text, "50"), _latency_ms(text, "99"), failed)


def _latency_ms(text: str, percent: str) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"wrk gave no {percent}% latency:\n{text}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
