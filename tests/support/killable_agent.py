"""Runs an agent's pods in a process of its own, to be killed: `python -m tests.support.killable_agent FOLDER PODS.json`."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.support.pods import Agent, FakeSource, until


async def main(folder: Path, documents: list[dict[str, Any]]) -> None:
    """Run until killed; print a line once all pods are ready."""
    source = FakeSource(documents)
    agent = Agent(folder, source)
    async with asyncio.TaskGroup() as group:
        group.create_task(agent.run())
        await until(lambda: all(source.is_ready(pod["metadata"]["name"]) for pod in documents), "ready")
        print(json.dumps(await agent.pids()), flush=True)


asyncio.run(main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))
