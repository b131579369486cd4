"""`skep run`: makes any command an instance of the mesh for as long as it lives. In: what to run; out: its exit status.

The agent keeps the sidecar and the lease for as long as our connection to it lives. When the agent goes away the command runs
on, and we come back to the agent with the same name and ports. Must never leave the command running behind.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from skep.clients import agent as wire
from skep.clients.agent import AgentConnection, Open, Opened, SetHealth
from skep.errors import Conflict, Invalid, SkepError, Unavailable
from skep.model.instance import Health
from skep.model.names import InstanceId, Namespace, ServiceName, is_dns_label
from skep.model.violation import Violation

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
LEARN_S = 0.5
"""How long callers are given to learn that the instance drains, once the registry knows."""
REPORT_S = 2.0
"""How long the registry is given to take that in."""
PROBE_EVERY_S = 2.0
SILENT_S = 10.0
"""After so long a command that does not serve yet is spoken of."""
_PROBE_FIRST_S = 0.1
_PROBE_LIMIT_S = 2.0
_FAILURES = 3
"""Failed probes in a row that make the instance failing."""
_PR_SET_PDEATHSIG = 1
"""From Linux's prctl.h."""
_RETRY_S = (0.2, 0.5, 1.0, 2.0)


class RunProbe(msgspec.Struct, frozen=True):
    """How the command is asked whether it can serve."""

    kind: Literal["tcp", "http", "none"] = "tcp"
    path: str = "/"


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `skep run` was asked to do."""

    service: ServiceName
    command: tuple[str, ...]
    namespace: Namespace = Namespace("default")
    port: int = 0
    """Where the command listens on loopback; 0 for a free one, told in PORT."""
    id: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    protocol: str = "http"
    weight: int = 100
    probe: RunProbe = RunProbe()
    stop_grace_s: float = 10.0


def parse_probe(text: str) -> RunProbe:
    """Read `tcp`, `none`, `http` or `http:/path`; `Invalid` says which there are."""
    kind, _, path = text.partition(":")
    if kind == "http" and (not path or path.startswith("/")):
        return RunProbe("http", path or "/")
    if text == "tcp":
        return RunProbe("tcp")
    if text == "none":
        return RunProbe("none")
    raise Invalid(violations=[Violation("--probe", "invalid", f"{text!r} is none of tcp, none, http:/path")])


def environment(inherited: Mapping[str, str], opened: Opened) -> dict[str, str]:
    """Return the command's environment: where to listen, and the mesh as its proxy for plain HTTP."""
    proxy = f"http://{opened.outbound}"
    own = [each.strip() for name in ("no_proxy", "NO_PROXY") for each in inherited.get(name, "").split(",")]
    direct = ",".join(dict.fromkeys(["localhost", LOOPBACK, *filter(None, own)]))
    return {
        **inherited,
        "PORT": str(opened.port),
        "http_proxy": proxy,
        "HTTP_PROXY": proxy,
        "no_proxy": direct,
        "NO_PROXY": direct,
    }


async def run_instance(request: RunRequest, data_dir: Path, inherited: Mapping[str, str]) -> int:
    """Run a command as an instance; return the status a shell would give: its own, or 128 + the signal that ended it.

    `Unavailable` when no agent runs here or there is no configuration, `Invalid` when the command cannot be started,
    `Conflict` when its port or its id is taken.
    """
    _refuse_mistakes(request)
    _refuse_missing(request.command[0], inherited.get("PATH", os.defpath))
    if request.port and await probe(RunProbe("tcp"), request.port):
        raise Conflict(f"port {request.port} on {LOOPBACK} is taken by another program; choose another --port, or none")
    name = InstanceId(request.id or f"{request.service[:52]}-{secrets.token_hex(4)}")
    connection = await wire.connect(data_dir)
    try:
        try:
            opened = await connection.call(_open(request, name), Opened)
        except Invalid as error:  # the registry takes several at a time; here there is one
            raise Invalid(error.message.replace("instances[0].", "")) from error
        return await _Run(request, data_dir, name, connection, opened).run(inherited)
    finally:
        await connection.close()


def _refuse_mistakes(request: RunRequest) -> None:
    names = [("--service", request.service), ("--namespace", request.namespace)]
    names += [("--id", request.id)] if request.id else []
    wrong = [
        Violation(option, "invalid", f"{value!r} must be lower-case letters, digits and dashes, at most 63")
        for option, value in names
        if not is_dns_label(value)
    ]
    if not 0 <= request.port <= 65535:
        wrong.append(Violation("--port", "invalid", f"{request.port} must be 1 to 65535, or 0 for a free one"))
    if wrong:
        raise Invalid(violations=wrong)


def _refuse_missing(program: str, path: str) -> None:
    if shutil.which(program, path=path) is None:
        what = "it may not be executed" if Path(program).exists() else "no such command"
        raise Invalid(f"cannot start {program}: {what}; write the command after --, as a shell would find it")


def _open(request: RunRequest, name: InstanceId, opened: Opened | None = None, health: Health | None = None) -> Open:
    return Open(
        namespace=request.namespace,
        service=request.service,
        id=name,
        port=opened.port if opened else request.port,
        protocol=request.protocol,
        labels=request.labels,
        weight=request.weight,
        health=health or Health.STARTING,
        outbound_port=opened.outbound.port if opened else 0,
    )


class _Run:
    """One command and its session."""

    def __init__(
        self, request: RunRequest, data_dir: Path, name: InstanceId, connection: AgentConnection, opened: Opened
    ) -> None:
        self._request = request
        self._data_dir = data_dir
        self._name = name
        self._connection = connection
        self._opened = opened
        self._health = Health.STARTING
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._drained = asyncio.Event()
        self._signal = signal.SIGTERM

    async def run(self, inherited: Mapping[str, str]) -> int:
        """Start the command, keep its session, stop it when told."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        process = await _start(self._request.command, environment(inherited, self._opened))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._probe()),
                    group.create_task(self._keep_session()),
                    group.create_task(self._stop_gracefully(process)),
                ]
                status = await process.wait()
                for task in tasks:
                    task.cancel()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return status if status >= 0 else 128 - status

    def _on_signal(self, number: signal.Signals) -> None:
        self._signal = number
        self._stop.set()

    async def _stop_gracefully(self, process: asyncio.subprocess.Process) -> None:
        """Let callers learn before the command is told to stop; a second signal hurries, the grace's end kills."""
        await self._stop.wait()
        self._stop.clear()
        self._report(Health.DRAINING)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), REPORT_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), LEARN_S)
        if not _reached_all(self._signal):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self._signal)
        await asyncio.sleep(self._request.stop_grace_s)
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    def _report(self, health: Health) -> None:
        if self._health is not Health.DRAINING and health is not self._health:
            self._health = health
            self._changed.set()

    async def _probe(self) -> None:
        """Ask the command how it is, eagerly until it first serves."""
        failures = 0
        silence = asyncio.get_running_loop().call_later(SILENT_S, self._tell_silence)
        while True:
            if await probe(self._request.probe, self._opened.port):
                silence.cancel()
                if self._health is Health.FAILING:
                    log.warning("%s passes its probe again and gets calls", self._name)
                failures = 0
                self._report(Health.PASSING)
            else:
                failures += 1
                if self._health is Health.PASSING and failures >= _FAILURES:
                    log.warning("%s fails its probe and gets no calls until it passes", self._name)
                    self._report(Health.FAILING)
            await asyncio.sleep(_PROBE_FIRST_S if self._health is Health.STARTING else PROBE_EVERY_S)

    def _tell_silence(self) -> None:
        if self._health is Health.STARTING:
            log.warning(
                "%s does not pass its probe (%s on %s:%d) after %d s and gets no calls: does the command listen on $PORT? "
                "One that only calls others needs --probe none",
                self._name, self._request.probe.kind, LOOPBACK, self._opened.port, SILENT_S,
            )  # fmt: skip

    async def _keep_session(self) -> None:
        """Report health as it changes; when the agent goes away, come back to it as the same instance."""
        while True:
            try:
                await self._report_changes()
            except SkepError as error:
                log.warning("%s; %s runs on, its calls go through as long as its Envoy lives", error, self._name)
                await self._come_back()

    async def _report_changes(self) -> NoReturn:
        while True:
            await self._until_changed_or_gone()
            if not self._changed.is_set():
                raise Unavailable("the agent has gone")
            self._changed.clear()
            health = self._health
            await self._connection.call(SetHealth(health), bool)
            if health is Health.DRAINING:
                self._drained.set()

    async def _until_changed_or_gone(self) -> None:
        async with asyncio.TaskGroup() as group:
            ends = group.create_task(self._connection.ended())
            changes = group.create_task(self._until_changed())
            await asyncio.wait([ends, changes], return_when=asyncio.FIRST_COMPLETED)
            ends.cancel()
            changes.cancel()

    async def _until_changed(self) -> None:
        await self._changed.wait()

    async def _come_back(self) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
            attempt += 1
            await self._connection.close()
            try:
                self._connection = await wire.connect(self._data_dir)
                again = _open(self._request, self._name, self._opened, self._health)
                self._opened = await self._connection.call(again, Opened)
                self._changed.set()
                log.info("%s is back with the agent", self._name)
                return
            except SkepError as error:
                log.debug("not back with the agent yet: %s", error)


def _reached_all(number: signal.Signals) -> bool:
    """Tell whether the terminal sent a signal: Ctrl-C reaches the command as well, and a second one would hurry it."""
    try:
        return number is signal.SIGINT and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _end_with_parent() -> None:
    """Ask the kernel to end the command when we are killed; runs in the child, before the command."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _start(command: tuple[str, ...], env: Mapping[str, str]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(*command, env=dict(env), preexec_fn=_end_with_parent)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Invalid(f"cannot start {command[0]}: {getattr(error, 'strerror', None) or error}") from error


async def probe(how: RunProbe, port: int) -> bool:
    """Ask once."""
    if how.kind == "none":
        return True
    try:
        async with asyncio.timeout(_PROBE_LIMIT_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                if how.kind == "tcp":
                    return True
                request = f"GET {how.path} HTTP/1.1\r\nhost: {LOOPBACK}:{port}\r\nconnection: close\r\n\r\n"
                writer.write(request.encode())
                line = (await reader.readline()).split()
                return len(line) > 1 and line[1].isdigit() and 200 <= int(line[1]) < 400
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
