"""A whole installation for tests: `skep up` with its own directory and free ports, stopped at the end with all it started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench.ports import free_ports as free_ports

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("HTTP_PORT", "GRPC_PORT", "GATEWAY_HTTP_PORT", "GATEWAY_HTTPS_PORT")


@dataclass(frozen=True)
class Installation:
    """Where an installation is, and the environment in which `skep` and `kubectl` reach it."""

    directory: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.env['SKEP_HTTP_PORT']}"

    @property
    def gateway(self) -> str:
        """The address of the Gateway `edge`."""
        return f"http://127.0.0.1:{self.env['SKEP_GATEWAY_HTTP_PORT']}"

    def skep(self, *arguments: str, limit_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a `skep` command in it."""
        return subprocess.run(
            ["skep", *arguments], env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=limit_s
        )


@contextmanager
def installation(directory: Path) -> Iterator[Installation]:
    """Run `skep up` until the context ends; then nothing of it may be left."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    path = f"{Path(sys.executable).parent}:{ROOT / '.tools' / 'bin'}:{os.defpath}:/usr/local/bin"
    env = {"PATH": path, "HOME": str(directory), "SKEP_DATA_DIR": str(directory / "skep"), "LC_ALL": "C.UTF-8"}
    env |= {f"SKEP_{name}": str(port) for name, port in ports.items()}
    log = directory / "skep-up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["skep", "up"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    running = Installation(directory, env, process)
    try:
        _wait_until_ready(running, log)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert leftovers(directory) == [], f"left running by skep up; its log: {log.read_text()[-3000:]}"


def _wait_until_ready(running: Installation, log: Path) -> None:
    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline:
        if running.process.poll() is not None:
            raise AssertionError(f"skep up ended with {running.process.returncode}: {log.read_text()[-3000:]}")
        try:
            with urlopen(f"{running.api}/readyz", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"skep up did not answer: {log.read_text()[-3000:]}")


def leftovers(directory: Path) -> list[str]:
    """Return the commands of processes that name the directory in their command or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if command and (str(directory).encode() in command or str(directory).encode() in environment):
            found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode(errors='replace')}")
    return found
