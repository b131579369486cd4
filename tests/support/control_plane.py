"""The real control plane in a process of its own, on free ports, which a test can kill and start again on the same data."""

import http.client
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.ports import free_ports as free_ports

_START = """
import sys, uvloop
from skep.server import serve
from skep.settings import load_settings
uvloop.run(serve(load_settings(dict(zip(("data_dir", "http_port", "grpc_port"), sys.argv[1:], strict=True)))))
"""
READY_S = 60.0


class ControlPlane:
    """One server on one data directory; it can be killed and started again, and keeps its ports."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.http_port, self.grpc_port = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where its API answers."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    def token(self, role: str) -> str:
        """Return the token of admin or agent."""
        return (self.data_dir / "tokens" / role).read_text().strip()

    def start(self) -> float:
        """Start it and wait until it is ready; returns the seconds that took."""
        began = time.perf_counter()
        arguments = (str(self.data_dir), str(self.http_port), str(self.grpc_port))
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "server.log").open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "-c", _START, *arguments], stdout=log, stderr=log)
        while not self._is_ready():
            if self._process.poll() is not None or time.perf_counter() - began > READY_S:
                self.kill()
                raise RuntimeError(f"the server did not start:\n{(self.data_dir / 'server.log').read_text()[-4000:]}")
            time.sleep(0.02)
        return time.perf_counter() - began

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(60)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, gracefully if it can."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
