"""What every runtime must do; run for the fake and for the real ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from skep.errors import Conflict, Invalid, NotFound
from skep.workloads.runtime import ProcessSpec, Runtime
from skep.workloads.runtimes.process import ProcessRuntime
from tests.support.runtimes import BASE_ENV, FAKE_COMMANDS, PROCESS_COMMANDS, Commands, FakeHost, FakeRuntime

LIMIT_S = 60


class Subject:
    """One kind of runtime: its commands, and new agents of the same host."""

    def __init__(self, commands: Commands, build: Callable[[], Runtime]) -> None:
        self.commands = commands
        self.build = build

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Runtime]:
        """A runtime that has recovered; leaves nothing behind."""
        runtime = self.build()
        await runtime.recover()
        try:
            async with asyncio.timeout(LIMIT_S):
                yield runtime
        finally:
            for process in await runtime.list():
                await runtime.destroy(process.spec.name)


@pytest.fixture(params=["fake", "process"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    if request.param == "fake":
        host = FakeHost()
        return Subject(FAKE_COMMANDS, lambda: FakeRuntime(host))
    return Subject(PROCESS_COMMANDS, lambda: ProcessRuntime(tmp_path / "processes"))


def spec_of(name: str, command: tuple[str, ...], grace_s: float = 5.0) -> ProcessSpec:
    return ProcessSpec(name=name, command=command, env=BASE_ENV, labels={"pod": name}, stop_grace_s=grace_s)


@pytest.mark.anyio
async def test_created_process_runs_and_is_listed(subject: Subject) -> None:
    async with subject.agent() as runtime:
        b = await runtime.create(spec_of("b", subject.commands.sleeps))
        a = await runtime.create(spec_of("a", subject.commands.sleeps))
        assert b.state == "running"
        assert b.exit_code is None
        assert b.pid > 0
        assert b.spec.labels == {"pod": "b"}
        assert [p.spec.name for p in await runtime.list()] == ["a", "b"]
        assert await runtime.load("a") == a
        assert a.pid != b.pid


@pytest.mark.anyio
async def test_unknown_names(subject: Subject) -> None:
    async with subject.agent() as runtime:
        assert await runtime.load("nobody") is None
        await runtime.destroy("nobody")
        with pytest.raises(NotFound):
            await runtime.wait("nobody")


@pytest.mark.anyio
async def test_exit_code_is_told_to_every_waiter_and_kept(subject: Subject) -> None:
    async with subject.agent() as runtime:
        await runtime.create(spec_of("short", subject.commands.exits))
        async with asyncio.TaskGroup() as group:
            waiters = [group.create_task(runtime.wait("short")) for _ in range(3)]
        assert [task.result() for task in waiters] == [3, 3, 3]
        process = await runtime.load("short")
        assert process is not None
        assert (process.state, process.exit_code) == ("exited", 3)


@pytest.mark.anyio
async def test_a_name_is_taken_until_destroyed(subject: Subject) -> None:
    async with subject.agent() as runtime:
        await runtime.create(spec_of("one", subject.commands.exits))
        await runtime.wait("one")
        with pytest.raises(Conflict):
            await runtime.create(spec_of("one", subject.commands.sleeps))
        await runtime.destroy("one")
        again = await runtime.create(spec_of("one", subject.commands.sleeps))
        assert again.state == "running"


@pytest.mark.anyio
async def test_command_that_cannot_run_is_invalid_and_leaves_no_trace(subject: Subject) -> None:
    async with subject.agent() as runtime:
        for command in (subject.commands.missing, ()):
            with pytest.raises(Invalid, match="bad"):
                await runtime.create(spec_of("bad", command))
        assert await runtime.list() == []
        await runtime.create(spec_of("bad", subject.commands.sleeps))


@pytest.mark.anyio
async def test_destroy_is_idempotent_and_frees_waiters(subject: Subject) -> None:
    async with subject.agent() as runtime:
        await runtime.create(spec_of("one", subject.commands.sleeps))
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(runtime.wait("one"))
            await asyncio.sleep(0)
            for _ in range(3):
                group.create_task(runtime.destroy("one"))
        assert waiter.result() == 143
        assert await runtime.load("one") is None
        await runtime.destroy("one")
        assert await runtime.list() == []


@pytest.mark.anyio
async def test_destroy_kills_what_does_not_stop(subject: Subject) -> None:
    async with subject.agent() as runtime:
        await runtime.create(spec_of("stubborn", subject.commands.stubborn, grace_s=0.3))
        await runtime.destroy("stubborn")
        assert await runtime.list() == []


@pytest.mark.anyio
async def test_next_agent_adopts_running_processes(subject: Subject) -> None:
    async with subject.agent() as first:
        created = await first.create(spec_of("kept", subject.commands.sleeps))
        async with subject.agent() as second:
            adopted = await second.load("kept")
            assert adopted == created
            assert await second.recover() == [created]
            async with asyncio.TaskGroup() as group:
                group.create_task(second.wait("kept"))
                await asyncio.sleep(0)
                await second.destroy("kept")
            assert await second.list() == []
