"""`skep get --watch` goes on where it was when the server is killed and comes back."""

import asyncio
import os
import sys
from pathlib import Path

from skep.clients.api import ApiClient
from tests.support.control_plane import ControlPlane

LIMIT_S = 60.0
_SKEP = "from skep.cli.main import main; main()"
NAMESPACES = "/api/v1/namespaces"


def test_a_watch_outlives_a_killed_server(tmp_path: Path) -> None:
    asyncio.run(_outlives(tmp_path))


async def _outlives(tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "data") as server:
        command = (sys.executable, "-c", _SKEP, "get", "ns", "-w", "-o", "name", "--data-dir", str(server.data_dir))
        environment = {**os.environ, "SKEP_SERVER": server.url}  # noqa: TID251
        watch = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
        assert watch.stdout is not None
        lines = watch.stdout
        try:
            async with asyncio.timeout(LIMIT_S), ApiClient(server.url, server.token("admin")) as api:
                assert {await lines.readline() for _ in range(2)} == {
                    b"namespace/default\n",
                    b"namespace/skep-system\n",
                }
                await api.create(NAMESPACES, {"metadata": {"name": "before"}})
                assert await lines.readline() == b"namespace/before\n"
                server.kill()
                await asyncio.to_thread(server.start)
                await api.create(NAMESPACES, {"metadata": {"name": "afterwards"}})
                assert await lines.readline() == b"namespace/afterwards\n"
        finally:
            watch.terminate()
            await watch.wait()
