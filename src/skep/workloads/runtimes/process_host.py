"""Everything about processes that blocks: starting, their state on disk, `/proc`, signals, output files.

Called by the process runtime, from threads where it takes time. Must never touch an event loop.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from skep.errors import Invalid, Unavailable
from skep.workloads.runtime import ProcessSpec

MARKER = "SKEP_PROCESS"
"""Environment variable with the state folder: finds a process whose pid was not written down, and stray children."""
STATE_FILE = "process.json"
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is on disk about one process."""

    spec: ProcessSpec
    boot: str
    started_at: str
    pid: int = 0
    """0 until it was started."""
    start_ticks: int = 0
    """Clock ticks from boot to its start: tells it from a later process with the same pid."""
    exited: bool = False
    exit_code: int | None = None


def folder_name(name: str) -> str:
    """Return a folder name for a process name; long ones are cut and made unique by a digest."""
    if not _SAFE.fullmatch(name):
        raise Invalid(f"{name!r} cannot be a process name: use letters, digits, dots, dashes and underscores")
    return name if len(name) <= 200 else f"{name[:160]}.{hashlib.sha256(name.encode()).hexdigest()[:24]}"


def spawn(spec: ProcessSpec, folder: Path, started_at: str) -> State:
    """Start a process and write down what finds it again; its intent is on disk before it runs."""
    output = Path(spec.output or folder)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        output.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = State(spec=spec, boot=boot_id(), started_at=started_at)
        save_state(folder, state)
        pid = _popen(spec, folder, output)
    except OSError as error:
        remove_tree(folder)
        raise Unavailable(f"cannot start {spec.name}: {error}") from error
    except (Invalid, Unavailable):
        remove_tree(folder)
        raise
    state = msgspec.structs.replace(state, pid=pid, start_ticks=start_ticks_of(pid))
    with contextlib.suppress(OSError):  # a full disk: the marker finds it again
        save_state(folder, state)
    return state


def _popen(spec: ProcessSpec, folder: Path, output: Path) -> int:
    if spec.directory is not None and not Path(spec.directory).is_dir():
        raise Invalid(f"cannot start {spec.name}: no such directory: {spec.directory}")
    # O_APPEND, so that a file cut to nothing under a writer does not become a file with a hole.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    with contextlib.ExitStack() as stack:
        files = []
        for stream in ("stdout", "stderr"):
            files.append(os.open(output / stream, flags, 0o600))
            stack.callback(os.close, files[-1])
        try:
            process = subprocess.Popen(
                spec.command,
                stdin=subprocess.DEVNULL,
                stdout=files[0],
                stderr=files[1],
                env={**spec.env, MARKER: str(folder)},
                cwd=spec.directory,
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise Invalid(f"cannot start {spec.name}: {spec.command[0]}: {error.strerror}") from error
        except ValueError as error:  # a NUL in an argument
            raise Invalid(f"cannot start {spec.name}: {error}") from error
    process.returncode = 0  # disarms Popen's own bookkeeping: we reap through the pidfd
    return process.pid


def save_state(folder: Path, state: State) -> None:
    """Replace the state on disk; readable by the owner only, for the environment may hold secrets."""
    if not folder.is_dir():
        return
    scratch = folder / f"{STATE_FILE}.new"
    scratch.touch(mode=0o600)
    scratch.write_bytes(msgspec.json.encode(state))
    scratch.replace(folder / STATE_FILE)


def load_states(root: Path, known: frozenset[str]) -> list[tuple[Path, State]]:
    """Read every state below a folder but the known ones, as it is now: living, or exited with an unknown code."""
    found = []
    boot = boot_id()
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        try:
            state = msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=State)
        except FileNotFoundError:
            continue
        except msgspec.MsgspecError:
            remove_tree(folder)  # torn by a crash of the machine, which ended the process as well
            continue
        if state.spec.name not in known:
            found.append((folder, _as_it_is(folder, state, boot)))
    return found


def _as_it_is(folder: Path, state: State, boot: str) -> State:
    if state.exited:
        return state
    gone = msgspec.structs.replace(state, exited=True, exit_code=None)
    if state.boot != boot:
        return gone
    if is_present(state):
        return state
    strays = marked_pids(folder)
    leader = next((pid for pid in strays if not state.pid and _leads_session(pid)), 0)
    if leader:
        return msgspec.structs.replace(state, pid=leader, start_ticks=start_ticks_of(leader))
    for pid in strays:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return gone


def boot_id() -> str:
    """Return what names this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks_of(pid: int) -> int:
    """Return clock ticks from boot to a process's start; -1 when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return int(text[text.rindex(")") + 2 :].split()[19])  # the name before it may hold anything


def is_present(state: State) -> bool:
    """Tell whether the very process of this state is there, be it as a zombie."""
    return state.pid != 0 and start_ticks_of(state.pid) == state.start_ticks


def marked_pids(folder: Path) -> list[int]:
    """Return the processes that were started for a state folder, children that kept the environment included."""
    marker = f"{MARKER}={folder}".encode()
    return [pid for pid in _pids() if marker in _environment(pid).split(b"\0")]


def _leads_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _pids() -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            yield int(entry.name)


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or another user's
        return b""


def kill_group(pid: int, number: signal.Signals) -> None:
    """Signal a process and the children that stayed in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def exit_code_of(pidfd: int) -> int | None:
    """Reap a child that ended and return its code as a shell says it; None for one that is not our child."""
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status


def rotate(path: Path, limit_bytes: int) -> None:
    """Move the end of a file that grew over the limit to `<path>.1` and empty it under its writer.

    What is written between the two steps is lost; the writer never notices. A full disk costs the copy, not the rest.
    """
    try:
        size = path.stat().st_size
        if size <= limit_bytes:
            return
        with contextlib.suppress(OSError), path.open("rb") as source, Path(f"{path}.1").open("wb") as kept:
            source.seek(max(0, size - limit_bytes))
            left = limit_bytes
            while left > 0 and (block := source.read(min(left, 2**20))):
                kept.write(block)
                left -= len(block)
        os.truncate(path, 0)
    except FileNotFoundError:
        return


def remove_tree(folder: Path) -> None:
    """Delete a folder and what is in it."""
    shutil.rmtree(folder, ignore_errors=True)
