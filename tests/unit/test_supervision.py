"""A task that crashes is started again; until it has proven itself, others can read that it is down."""

import asyncio

import pytest

from skep import supervision
from skep.clock import SystemClock
from skep.supervision import supervise


@pytest.mark.anyio
async def test_crashed_task_is_down_until_it_has_run_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE_S", 0.01)
    down: dict[str, str] = {}
    started = 0
    second = asyncio.Event()

    async def run() -> None:
        nonlocal started
        started += 1
        if started == 1:
            raise RuntimeError
        second.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(supervise("worker", run, SystemClock(), down))
        await second.wait()
        assert down == {"worker": "RuntimeError"}
        while down:  # noqa: ASYNC110  a deadline is set
            await asyncio.sleep(0.001)
        task.cancel()
    assert started == 2


@pytest.mark.anyio
async def test_stopping_is_no_crash() -> None:
    down: dict[str, str] = {}

    async def run() -> None:
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervise("worker", run, SystemClock(), down))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    assert not down
