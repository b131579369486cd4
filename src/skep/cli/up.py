"""`skep up`: the whole platform of one machine. Checks ports, starts the server and the agent, says when they answer.

In: settings and the flags that were given; out: lines for people. Ctrl-C stops everything; nothing stays behind.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skep.cli.children import Child, ChildSpec, last_lines
from skep.cli.options import url_of
from skep.clients.agent import socket_path
from skep.clock import Clock, SystemClock
from skep.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from skep.settings import Settings

READY_LIMIT_S = 60.0
POLL_S = 0.03
SERVER_STOP_S = 15.0
AGENT_STOP_S = 50.0
"""Longer than the grace of most replicas."""
MAX_DEATHS = 3
"""A child that ends so often before it answered will not answer."""


async def up(settings: "Settings", flags: Sequence[str]) -> None:
    """Run the platform until SIGINT, SIGTERM or SIGHUP."""
    clock = SystemClock()
    with only_one(settings.data_dir):
        children = [child_of("server", settings, flags, clock), child_of("agent", settings, flags, clock)]
        adopted = [child.adopt() for child in children]
        if not any(adopted):
            check_ports(settings)
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        try:
            await _run(settings, children, stopping, clock)
        finally:
            # The agent first: it takes its instances out of the registry before it ends them.
            await _stop(list(reversed(children)))


async def _run(settings: "Settings", children: list[Child], stopping: asyncio.Event, clock: Clock) -> None:
    began = clock.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for child in children:
            if child.adopted:
                say(f"taking over the {child.spec.name} that an earlier `skep up` left (process {child.pid})")
            else:
                child.start()
            tasks += [group.create_task(child.keep()), group.create_task(child.keep_log_short())]
        ready = group.create_task(_announce(settings, children, began, clock))
        stop = group.create_task(stopping.wait())
        await asyncio.wait([ready, stop], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done() or ready.exception() is None:
            await stop
        for task in (*tasks, ready, stop):
            task.cancel()


async def _announce(settings: "Settings", children: list[Child], began: float, clock: Clock) -> None:
    url = url_of(settings.host, settings.http_port)
    say(f"skep: starting; data in {settings.data_dir}")
    server, agent = children
    await _until(lambda: answers(settings.host, settings.http_port), children, "the server")
    server.was_ready = True
    say(f"  server     {url}  ready after {clock.monotonic() - began:.1f} s")
    await _until(lambda: listens(socket_path(settings.data_dir)), children, "the agent")
    agent.was_ready = True
    say(f"  agent      {socket_path(settings.data_dir)}")
    say(f"  gateway    http://{settings.gateway_address}:{settings.gateway_http_port}  (Gateway default/edge)")
    say(f"  logs       {children[0].spec.folder}")
    say("")
    say("next, in another terminal:")
    say("  skep apply -f examples/hello/hello.yaml    deploy something")
    say("  skep get pods                              look at it")
    say("  skep top                                   watch its calls")
    if clock.monotonic() - began < READY_LIMIT_S:
        say("Ctrl-C stops everything.")


async def _until(question: Callable[[], Awaitable[bool]], children: list[Child], what: str) -> None:
    try:
        async with asyncio.timeout(READY_LIMIT_S):
            while not await question():
                for child in children:
                    if child.refused or child.deaths >= MAX_DEATHS:
                        raise Unavailable(_failure(child))
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise Unavailable(f"{what} does not answer after {READY_LIMIT_S:g} s; see {children[0].spec.folder}") from None


def _failure(child: Child) -> str:
    lines = [line for line in last_lines(child.spec.log, 40) if line.startswith("error: ")]
    said = lines[-1].removeprefix("error: ") if lines else "; ".join(last_lines(child.spec.log, 3))
    return f"the {child.spec.name} cannot start: {said or 'it says nothing'}; see {child.spec.log}"


async def _stop(children: list[Child]) -> None:
    if any(child.pid for child in children):
        say("\nstopping")
    for child in children:
        if not await child.stop():
            say(f"the {child.spec.name} did not end within {child.spec.stop_limit_s:g} s and was killed")


def child_of(name: str, settings: "Settings", flags: Sequence[str], clock: Clock) -> Child:
    """Return what runs `skep NAME` with the same flags; the environment is inherited."""
    spec = ChildSpec(
        name=name,
        command=(sys.executable, "-m", "skep.cli.main", name, *flags),
        folder=settings.data_dir / "logs",
        stop_limit_s=AGENT_STOP_S if name == "agent" else SERVER_STOP_S,
    )
    return Child(spec, clock, say)


def check_ports(settings: "Settings") -> None:
    """Refuse to start when a port is taken, naming it and the option that changes it."""
    wanted = [
        (settings.host, settings.http_port, "--http-port", "SKEP_HTTP_PORT"),
        (settings.host, settings.grpc_port, "--grpc-port", "SKEP_GRPC_PORT"),
    ]
    if not (settings.data_dir / "skep.db").exists():
        # Later the Gateway object says which ports these are, and an Envoy that lived on may hold them.
        gateway = settings.gateway_address
        wanted.append((gateway, settings.gateway_http_port, "--gateway-http-port", "SKEP_GATEWAY_HTTP_PORT"))
        wanted.append((gateway, settings.gateway_https_port, "--gateway-https-port", "SKEP_GATEWAY_HTTPS_PORT"))
    seen: dict[tuple[str, int], str] = {}
    for host, port, option, variable in wanted:
        if port and (host, port) in seen:
            raise Unavailable(f"port {port} is given to both {seen[host, port]} and {option}; choose two")
        seen[host, port] = option
        problem = port_problem(host, port)
        if problem:
            raise Unavailable(
                f"port {port} on {host} {problem}, and nothing was started; choose another with {option} or {variable}"
            )


def port_problem(host: str, port: int) -> str:
    """Say why a port cannot be listened on, or nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return "is taken by another program" if taken else f"cannot be used: {error.strerror or error}"
    return ""


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory: one `skep up` at a time."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            f"{data_dir}: cannot keep data there: {error.strerror}; choose another with --data-dir"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            raise Conflict(
                f"{data_dir}: `skep up` runs there already (process {holder}); stop it, or choose another --data-dir"
            ) from error
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


async def answers(host: str, port: int) -> bool:
    """Ask /readyz by hand: an HTTP client costs more to import than all the rest of this process."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nhost: skep\r\nconnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def listens(path: Path) -> bool:
    """Tell whether somebody listens on a unix socket."""
    try:
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_unix_connection(path)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True


def say(line: str) -> None:
    """Tell the user."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
