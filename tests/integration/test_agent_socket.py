"""The agent's socket when its own code fails: the caller is told, and nobody else notices."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, cast

import pytest

from skep.agent.server import AgentParts, AgentServer
from skep.clients.agent import ListProcesses, LocalProcess, ReadStats, Traffic, connected, socket_path
from skep.errors import SkepError


class Broken:
    """Stands for a part with a bug, and for one without."""

    async def read(self) -> None:
        raise ZeroDivisionError

    async def list(self) -> list[Any]:
        return []

    def attachments(self) -> dict[Any, Any]:
        return {}


@pytest.mark.anyio
async def test_a_bug_in_one_answer_ends_neither_the_connection_nor_the_agent(tmp_path: Path) -> None:
    part = cast("Any", Broken())
    server = AgentServer(AgentParts(part, part, part, part, part, part))
    path = socket_path(tmp_path)
    path.parent.mkdir()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        serving = group.create_task(server.run(path))
        while not path.exists():  # noqa: ASYNC110  a deadline is set
            await asyncio.sleep(0.01)
        async with connected(tmp_path) as agent, connected(tmp_path) as other:
            with pytest.raises(SkepError, match="the agent failed"):
                await agent.call(ReadStats(), list[Traffic])
            for connection in (agent, other):
                assert await connection.call(ListProcesses(), list[LocalProcess]) == []
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
