"""Starts a real control plane for a benchmark: its own process, data and ports; stopped by its id at the end."""

import asyncio
import contextlib
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx

_START = """
import json, sys
import uvloop
from skep.server import serve
from skep.settings import load_settings
flags = json.loads(sys.argv[1])
uvloop.run(serve(load_settings(flags)))
"""


class ControlPlane(NamedTuple):
    """A running control plane."""

    http: str
    """Its URL."""
    xds: str
    """`host:port` for proxies."""
    agent_token: str
    pid: int
    data_dir: Path


@contextlib.asynccontextmanager
async def control_plane(flags: Mapping[str, object] | None = None) -> AsyncIterator[ControlPlane]:
    """Run one until the block ends."""
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as folder:
        http_port, grpc_port = _free_port(), _free_port()
        settings = {"data_dir": folder, "http_port": http_port, "grpc_port": grpc_port, **(flags or {})}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", _START, json.dumps(settings))
        url = f"http://127.0.0.1:{http_port}"
        try:
            await _ready(url, process)
            token = (Path(folder) / "tokens" / "agent").read_text().strip()
            yield ControlPlane(url, f"127.0.0.1:{grpc_port}", token, process.pid, Path(folder))
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 15)
                except TimeoutError:
                    process.kill()
            await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(60):
        while True:
            if process.returncode is not None:
                raise RuntimeError("the control plane ended while starting")
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
