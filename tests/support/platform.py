"""The platform for end-to-end tests: a control plane and an agent as processes of their own, which can be killed one by one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.ports import free_ports as free_ports
from skep.clients.api import ApiClient

ROOT = Path(__file__).parents[2]

_SERVER = """
import asyncio, logging, sys
from skep.server import serve
from skep.settings import load_settings
logging.basicConfig(level="INFO")
asyncio.run(serve(load_settings(eval(sys.argv[1]))))
"""
_AGENT = """
import asyncio, logging, sys
from skep.agent.runner import run_agent
from skep.auth.policy import Role
from skep.auth.tokens import load_token
from skep.model.node import Address
from skep.settings import load_settings
logging.basicConfig(level="INFO")
s = load_settings(eval(sys.argv[1]))
token = load_token(s.data_dir, Role.AGENT)
asyncio.run(run_agent(s, f"http://127.0.0.1:{s.http_port}", Address("127.0.0.1", s.grpc_port), token))
"""
_RUN = """
import asyncio, logging, os, sys
from pathlib import Path
from skep.agent.run import RunRequest, run_instance
logging.basicConfig(level="INFO")
request = eval(sys.argv[2])
sys.exit(asyncio.run(run_instance(RunRequest(**request), Path(sys.argv[1]), dict(os.environ))))
"""


class Platform:
    """One control plane, one agent, and what was run with `skep run`."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.logs = folder / "logs"
        self.logs.mkdir()
        self._ports = free_ports(4)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.server: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Mapping[str, object]:
        http, grpc, plain, tls = self._ports
        return {
            "data_dir": str(self.data_dir),
            "http_port": http,
            "grpc_port": grpc,
            "gateway_http_port": plain,
            "gateway_https_port": tls,
        }

    @property
    def gateway_port(self) -> int:
        """Where the Gateway `edge` answers."""
        return self._ports[2]

    def start_server(self) -> None:
        self.server = self.spawn("server", sys.executable, "-c", _SERVER, repr(dict(self.settings)))

    def start_agent(self) -> None:
        self.agent = self.spawn("agent", sys.executable, "-c", _AGENT, repr(dict(self.settings)))

    def run(self, *command: str, log: str = "", **request: object) -> subprocess.Popen[bytes]:
        """`skep run`: keywords are `RunRequest`'s."""
        program = (sys.executable, "-c", _RUN, str(self.data_dir), repr({**request, "command": command}))
        return self.spawn(log or str(request["service"]), *program)

    async def start(self) -> None:
        """Start both, and wait until they answer."""
        self.start_server()
        await self.until_ready()
        self.start_agent()
        await until_true(lambda: (self.data_dir / "agent" / "agent.sock").exists())

    async def until_ready(self) -> None:
        async with asyncio.timeout(60):
            while True:
                if (self.data_dir / "tokens" / "admin").exists():
                    async with self.api() as api:
                        if await api.is_ready():
                            return
                await asyncio.sleep(0.05)

    def api(self) -> ApiClient:
        """A client with the administrator's token."""
        token = (self.data_dir / "tokens" / "admin").read_text().strip()
        return ApiClient(f"http://127.0.0.1:{self._ports[0]}", token)

    def log(self, name: str) -> str:
        return (self.logs / name).read_text(errors="replace")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            if process is self.server:
                continue
            await asyncio.to_thread(end, process)
        for process in self.processes:
            await asyncio.to_thread(end, process)

    def spawn(self, log: str, *command: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start any program; it is stopped at the end."""
        with (self.logs / log).open("ab") as output:
            inherited = {**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}"}  # noqa: TID251
            process = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env={**inherited, **(env or {})}
            )
        self.processes.append(process)
        return process


def end(process: subprocess.Popen[bytes], limit_s: float = 60.0) -> int:
    """Wait for a process that was told to stop; kill it when it does not."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


async def until_true(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  a deadline is set
            await asyncio.sleep(0.05)
