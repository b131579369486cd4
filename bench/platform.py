"""Starts the real thing for a benchmark: `skep server` or `skep up` as its users start it, on free ports, in its own folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.ports import free_ports as free_ports

READY_LIMIT_S = 30.0


class Platform:
    """A running control plane, and with `up` its agent too."""

    def __init__(self, command: str, folder: Path, address: str) -> None:
        self.folder = folder
        # in the order of the defaults: tables of routes are made, and sent, by port
        self.http_port, self.grpc_port, self.gateway_port, gateway_tls_port = sorted(free_ports(4))
        options = {
            "DATA_DIR": folder / "data",
            "HTTP_PORT": self.http_port,
            "GRPC_PORT": self.grpc_port,
            "GATEWAY_ADDRESS": address,
            "GATEWAY_HTTP_PORT": self.gateway_port,
            "GATEWAY_HTTPS_PORT": gateway_tls_port,
        }
        self.env = {**os.environ, **{f"SKEP_{name}": str(value) for name, value in options.items()}}
        self.log = folder / "log"
        started = time.perf_counter()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("skep")), command],
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        self.ready_after_s = time.perf_counter() - started

    @property
    def url(self) -> str:
        """The address of the HTTP API."""
        return f"http://127.0.0.1:{self.http_port}"

    def token(self, role: str = "admin") -> str:
        """The token of a role."""
        return (self.folder / "data" / "tokens" / role).read_text().strip()

    def skep(self, *arguments: str, stdin: str | None = None, limit_s: float = 120.0) -> str:
        """Run the command as a user would; return what it printed."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("skep")), *arguments],
            env=self.env, input=stdin, capture_output=True, text=True, timeout=limit_s, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"skep {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def call(self, method: str, path: str, body: object = None, role: str = "admin") -> Any:
        """Call the HTTP API; return the decoded answer."""
        headers = {"Authorization": f"Bearer {self.token(role)}", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:2000].decode()}") from None
        return json.loads(text) if text else None

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_LIMIT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended with {self.process.returncode}:\n{self.log.read_text()}")
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=1):
                    return
            except urllib.error.HTTPError as error:
                error.close()
            except OSError:
                pass
            time.sleep(0.01)
        raise RuntimeError(f"not ready after {READY_LIMIT_S:g} s:\n{self.log.read_text()}")


@contextmanager
def platform(command: str = "server", address: str = "127.0.0.1") -> Iterator[Platform]:
    """Run a platform in a folder of its own for the length of a `with` block."""
    folder = Path(tempfile.mkdtemp(prefix="skep-bench-"))
    running = None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _leave)  # so that whoever ends the benchmark ends what it started
    try:
        running = Platform(command, folder, address)
        yield running
    finally:
        if running is not None:
            running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _leave(number: int, frame: object) -> None:
    del frame
    raise SystemExit(128 + number)


def rss_mb(pid: int) -> float:
    """Return a process's resident memory in MB."""
    return _status_kb(Path(f"/proc/{pid}/status"), "VmRSS:") / 1024


def anonymous_mb(pid: int) -> float:
    """Return a process's anonymous memory in MB: what it has for itself alone."""
    return _status_kb(Path(f"/proc/{pid}/smaps_rollup"), "Anonymous:") / 1024


def _status_kb(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise LookupError(f"{file} has no {name}")


def registration(namespace: str, service: str, number: int, port: int, **more: Any) -> Mapping[str, Any]:
    """Return one registration as the registry's API takes it."""
    return {"namespace": namespace, "service": service, "id": f"{service}-{number}", "address": "127.0.0.1",
            "port": port, "leaseSeconds": 3600, **more}  # fmt: skip
