"""What is particular to plain processes: their output files, children, environment, and traces on disk."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import psutil
import pytest

from skep.errors import Invalid
from skep.workloads.runtime import ProcessSpec
from skep.workloads.runtimes import process_host
from skep.workloads.runtimes.process import ProcessRuntime
from tests.support.pods import until
from tests.support.runtimes import BASE_ENV


def shell(name: str, script: str, **fields: object) -> ProcessSpec:
    spec = ProcessSpec(name=name, command=("sh", "-c", script), env=BASE_ENV, stop_grace_s=5.0)
    return msgspec.structs.replace(spec, **fields)


@pytest.fixture
async def runtime(anyio_backend: str, tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
    made = ProcessRuntime(tmp_path / "processes", output_limit_bytes=64 * 1024)
    yield made
    for process in await made.list():
        await made.destroy(process.spec.name)


@pytest.mark.anyio
async def test_environment_is_all_that_was_given(runtime: ProcessRuntime, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    spec = shell("env", "pwd; env", env={**BASE_ENV, "A": "b c"}, directory=str(tmp_path / "here"))
    process = await runtime.create(spec)
    await runtime.wait("env")
    lines = text_of(process.stdout_path).splitlines()
    assert lines[0] == str(tmp_path / "here")
    names = {line.partition("=")[0] for line in lines[1:]}
    assert {"A", "PATH", "SKEP_PROCESS"} <= names <= {"A", "PATH", "SKEP_PROCESS", "PWD", "SHLVL", "_", "OLDPWD"}
    assert "A=b c" in lines


@pytest.mark.anyio
async def test_missing_directory_and_nul_are_the_users_mistakes(runtime: ProcessRuntime) -> None:
    with pytest.raises(Invalid, match="no such directory: /no/where"):
        await runtime.create(shell("x", "true", directory="/no/where"))
    with pytest.raises(Invalid, match="null byte"):
        await runtime.create(shell("x", "true\0"))
    with pytest.raises(Invalid, match="process name"):
        await runtime.create(shell("../x", "true"))


@pytest.mark.anyio
async def test_chatty_process_cannot_fill_the_disk(runtime: ProcessRuntime) -> None:
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(runtime.run())
        script = 'i=0; while [ $i -lt 40000 ]; do echo "line $i of a chatty process"; i=$((i+1)); done; sleep 600'
        process = await runtime.create(shell("chatty", script))
        newer, older = process.stdout_path, process.stdout_path + ".1"
        await until(lambda: exists(older) and "line 39999" in text_of(newer) + text_of(older), "the end")
        await until(lambda: len(text_of(newer)) <= 64 * 1024, "the last rotation")
        assert len(text_of(older)) <= 64 * 1024
        assert "\0" not in text_of(newer)
        keeper.cancel()


@pytest.mark.anyio
async def test_children_end_with_their_process(runtime: ProcessRuntime, tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/child; {{}}"
    for name, rest in (("stopped", "wait"), ("ended", "exit 0")):
        process = await runtime.create(shell(name, script.format(rest)))
        await until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().strip(), "the child")
        child = int((tmp_path / "child").read_text())
        if name == "stopped":
            await runtime.destroy(name)
        else:
            assert await runtime.wait(name) == 0
        await until(lambda child=child: gone(child), "the child's end")  # type: ignore[misc]
        assert not psutil.pid_exists(process.pid)  # no zombie
        (tmp_path / "child").unlink()


@pytest.mark.anyio
async def test_exit_code_survives_the_agent(runtime: ProcessRuntime, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(runtime.run())
        await runtime.create(shell("short", "exit 7"))
        await runtime.wait("short")
        state = tmp_path / "processes" / "short" / "process.json"
        await until(lambda: b'"exited":true' in state.read_bytes(), "the saved state")
        keeper.cancel()
    (process,) = await ProcessRuntime(tmp_path / "processes").recover()
    assert (process.state, process.exit_code) == ("exited", 7)


@pytest.mark.anyio
async def test_process_whose_pid_was_never_written_down_is_found(runtime: ProcessRuntime, tmp_path: Path) -> None:
    created = await runtime.create(shell("lost", "sleep 600"))
    folder = tmp_path / "processes" / "lost"
    state = msgspec.json.decode((folder / "process.json").read_bytes(), type=process_host.State)
    process_host.save_state(folder, msgspec.structs.replace(state, pid=0, start_ticks=0))
    next_agent = ProcessRuntime(tmp_path / "processes")
    (adopted,) = await next_agent.recover()
    assert (adopted.pid, adopted.state) == (created.pid, "running")
    await next_agent.destroy("lost")
    async with asyncio.timeout(60):
        await runtime.wait("lost")  # the first runtime learns of it too


@pytest.mark.anyio
async def test_a_pid_that_belongs_to_somebody_else_is_left_alone(runtime: ProcessRuntime, tmp_path: Path) -> None:
    other = await runtime.create(shell("other", "sleep 600"))
    folder = tmp_path / "elsewhere" / "mine"
    folder.mkdir(parents=True)
    state = process_host.State(
        spec=shell("mine", "sleep 600"), boot=process_host.boot_id(), started_at="", pid=other.pid, start_ticks=1
    )
    process_host.save_state(folder, state)
    next_agent = ProcessRuntime(tmp_path / "elsewhere")
    (process,) = await next_agent.recover()
    assert (process.state, process.exit_code) == ("exited", None)
    await next_agent.destroy("mine")
    assert psutil.pid_exists(other.pid)


@pytest.mark.anyio
async def test_torn_or_old_state_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "processes"
    (folder / "torn").mkdir(parents=True)
    (folder / "torn" / "process.json").write_text('{"spec": {')
    (folder / "old").mkdir()
    state = process_host.State(spec=shell("old", "x"), boot="an earlier boot", started_at="", pid=os.getpid())
    process_host.save_state(folder / "old", state)
    (process,) = await ProcessRuntime(folder).recover()
    assert (process.spec.name, process.state) == ("old", "exited")


@pytest.mark.anyio
async def test_output_kept_elsewhere_survives_destroy(runtime: ProcessRuntime, tmp_path: Path) -> None:
    process = await runtime.create(shell("kept", "echo hello", output=str(tmp_path / "output")))
    await runtime.wait("kept")
    await runtime.destroy("kept")
    assert process.stdout_path == str(tmp_path / "output" / "stdout")
    assert text_of(process.stdout_path) == "hello\n"
    assert not exists(str(tmp_path / "processes" / "kept"))


@pytest.mark.anyio
async def test_signal_is_told_as_a_shell_does(runtime: ProcessRuntime) -> None:
    process = await runtime.create(shell("killed", "sleep 600"))
    os.kill(process.pid, signal.SIGKILL)
    assert await runtime.wait("killed") == 137


def text_of(path: str) -> str:
    """What a process wrote."""
    return Path(path).read_text()


def exists(path: str) -> bool:
    """Whether there is such a file."""
    return Path(path).exists()


def gone(pid: int) -> bool:
    """Whether a process ended; a zombie that its new parent has not collected yet did."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
