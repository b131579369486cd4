"""The agent's unix socket: sessions of `skep run`, and questions of the command line. Messages: `clients/agent.py`.

A session's instance is detached when its connection ends. A session that an earlier agent had is kept for a while, for its
`skep run` to come back to; after that it is detached.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

import msgspec

from skep.agent.envoy import Envoy
from skep.agent.envoys import Envoys
from skep.agent.logs import Place, read_logs
from skep.agent.ports import LOOPBACK, Ports
from skep.agent.sidecars import Attachment, SidecarRequest, Sidecars, key_of
from skep.agent.traffic import TrafficMeter
from skep.clients.agent import (
    MAX_LINE_BYTES,
    Failure,
    ListProcesses,
    ListProxies,
    LocalProcess,
    Open,
    Opened,
    Proxy,
    ReadLogs,
    ReadStats,
    Reply,
    Request,
    Restarted,
    RestartEnvoy,
    SetHealth,
)
from skep.errors import Conflict, Invalid, NotFound, SkepError, Unavailable
from skep.model.instance import InstanceKey
from skep.model.names import is_dns_label
from skep.model.node import Address, SidecarNode
from skep.model.violation import Violation
from skep.workloads.runtime import Runtime

log = logging.getLogger(__name__)

CLAIM_S = 20.0
"""How long a session of an earlier agent is kept for its `skep run` to come back."""
_RESTARTS_AT_ONCE = 2
_REQUESTS = msgspec.json.Decoder(Request)


class PodOutputs(Protocol):
    """Knows where the pods of this host write."""

    def output_of(self, namespace: str, pod: str, *, previous: bool = False) -> tuple[Path, Path]:
        """Return the files of stdout and stderr; `NotFound` when there are none."""
        ...


class AgentParts(msgspec.Struct, frozen=True):
    """What the socket gives access to."""

    envoys: Envoys
    sidecars: Sidecars
    ports: Ports
    traffic: TrafficMeter
    runtime: Runtime
    pods: PodOutputs
    zone: str = ""


class AgentServer:
    """Serves the socket."""

    def __init__(self, parts: AgentParts) -> None:
        self._parts = parts
        self._sessions: set[InstanceKey] = set()
        self._group: asyncio.TaskGroup | None = None

    async def run(self, path: Path) -> None:
        """Serve until cancelled, then remove the socket."""
        _remove(path)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                server = await self._listen(path)
                group.create_task(self._detach_unclaimed())
                async with server:
                    await server.serve_forever()
        finally:
            _remove(path)

    async def _listen(self, path: Path) -> asyncio.Server:
        umask = os.umask(0o177)  # nobody else may connect, not even for a moment
        try:
            return await asyncio.start_unix_server(self._accept, path, limit=MAX_LINE_BYTES)
        except OSError as error:
            raise Unavailable(f"{path}: cannot listen there: {error.strerror or error}") from error
        finally:
            os.umask(umask)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._group is not None
        self._group.create_task(_fenced(_Connection(self._parts, self._sessions, reader, writer)))

    async def _detach_unclaimed(self) -> None:
        left = []
        for key, attachment in self._parts.sidecars.attachments().items():
            if attachment.request.owner == "session":
                left.append(key)
                self._parts.ports.promise(attachment.request.application)
        if left:
            await asyncio.sleep(CLAIM_S)
        for key in left:
            if key not in self._sessions:
                log.info("%s/%s: nobody came back to it, detached", key.service, key.id)
                await detach(self._parts, key)


class _Connection:
    """One caller."""

    def __init__(
        self,
        parts: AgentParts,
        sessions: set[InstanceKey],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._parts = parts
        self._sessions = sessions
        self._reader = reader
        self._writer = writer
        self._key: InstanceKey | None = None

    async def serve(self) -> None:
        """Answer requests one after the other until the caller goes."""
        try:
            async with asyncio.TaskGroup() as group:
                lines: asyncio.Queue[bytes] = asyncio.Queue(16)
                answering = group.create_task(self._answer_all(lines))
                # Reading on while an answer is made tells at once that the caller has gone, even in a long answer.
                with contextlib.suppress(OSError, ValueError):
                    while line := await self._reader.readline():
                        await lines.put(line)
                answering.cancel()
        finally:
            await self._end_session()
            self._writer.close()

    async def _end_session(self) -> None:
        key, self._key = self._key, None
        if key is not None:
            # A cancelled connection means that the agent stops: then the sidecars are detached, or left, all together.
            task = asyncio.current_task()
            try:
                if task is not None and not task.cancelling():
                    await detach(self._parts, key)
            finally:
                self._sessions.discard(key)

    async def _answer_all(self, lines: "asyncio.Queue[bytes]") -> None:
        while True:
            line = await lines.get()
            try:
                reply = Reply(await self._answer(_REQUESTS.decode(line)))
            except SkepError as error:
                reply = Reply(error=Failure(error.code, error.message))
            except msgspec.DecodeError as error:
                reply = Reply(error=Failure(Invalid.code, f"not a request of this agent's version: {error}"))
            except Exception:  # a bug in one answer ends neither the session nor the agent
                log.exception("a request failed: %s", line[:200])
                reply = Reply(error=Failure(SkepError.code, "the agent failed at this; see its log"))
            with contextlib.suppress(OSError):
                await self._send(reply)

    async def _send(self, reply: Reply) -> None:
        self._writer.write(msgspec.json.encode(reply) + b"\n")
        await self._writer.drain()

    async def _answer(self, request: Request) -> object:
        match request:
            case Open():
                return await self._open(request)
            case SetHealth():
                return await self._set_health(request)
            case RestartEnvoy():
                return await restart_envoys(self._parts.envoys, request)
            case ListProxies():
                return await list_proxies(self._parts)
            case ListProcesses():
                return await list_processes(self._parts.runtime)
            case ReadStats():
                return await self._parts.traffic.read()
            case ReadLogs():
                async for chunk in read_logs(request, lambda: locate_output(self._parts, request)):
                    await self._send(Reply(chunk=chunk))
                return None

    async def _open(self, request: Open) -> Opened:
        key = InstanceKey(request.namespace, request.service, request.id)
        _refuse_bad_names(request)
        if self._key is not None:
            raise Conflict("this connection has a session already")
        attachment = self._parts.sidecars.attachments().get(key)
        if key in self._sessions or (attachment is not None and attachment.request.owner != "session"):
            raise Conflict(f"instance {key.id} of {key.service} runs already on this host; choose another --id")
        self._sessions.add(key)
        application = self._application(request, attachment)
        try:
            sidecar = await self._parts.sidecars.attach(
                SidecarRequest(
                    key=key,
                    application=application,
                    protocol=request.protocol,
                    labels=request.labels,
                    weight=request.weight,
                    zone=self._parts.zone,
                    lease_s=request.lease_s,
                    initial_health=request.health,
                    owner="session",
                    outbound=Address(LOOPBACK, request.outbound_port) if request.outbound_port else None,
                )
            )
        except BaseException:
            self._sessions.discard(key)
            self._parts.ports.release(application)
            raise
        self._key = key
        return Opened(sidecar.outbound, sidecar.inbound, application.port)

    def _application(self, request: Open, attachment: Attachment | None) -> Address:
        """Say where the command listens: as it wants, as before, or on a free port; promised to it meanwhile."""
        if not request.port and attachment is None:
            return self._parts.ports.pick_unheld()
        port = request.port or (attachment.request.application.port if attachment else 0)
        self._parts.ports.promise(Address(LOOPBACK, port))
        return Address(LOOPBACK, port)

    async def _set_health(self, request: SetHealth) -> bool:
        if self._key is None:
            raise Conflict("open a session first")
        await self._parts.sidecars.set_health(self._key, request.health)
        return await self._parts.sidecars.settle(self._key)


async def _fenced(connection: _Connection) -> None:
    """Serve one caller; a bug there is its own, not the end of the agent and of everybody else's session."""
    try:
        await connection.serve()
    except Exception:
        log.exception("a connection failed and was closed")


async def detach(parts: AgentParts, key: InstanceKey) -> None:
    """Take away a session's sidecar and give its port back."""
    attachment = parts.sidecars.attachments().get(key)
    await parts.sidecars.detach(key)
    if attachment is not None:
        parts.ports.release(attachment.request.application)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _refuse_bad_names(request: Open) -> None:
    wrong = [
        Violation(field, "invalid", f"{value!r} must be lower-case letters, digits and dashes, at most 63")
        for field, value in (("service", request.service), ("namespace", request.namespace), ("id", request.id))
        if not is_dns_label(value)
    ]
    if not 0 <= request.port <= 65535:
        wrong.append(Violation("port", "invalid", "must be 1 to 65535"))
    if wrong:
        raise Invalid(violations=wrong)


async def restart_envoys(envoys: Envoys, request: RestartEnvoy) -> Restarted:
    """Hot-restart the named proxies, or all; each failure is said with its reason."""
    chosen = [envoy for envoy in envoys.list() if _is_meant(envoy, request)]
    found = {name for envoy in chosen for name in (envoy.record.name, envoy.record.title)}
    failed = {name: "no such Envoy on this host" for name in request.names if name not in found}
    restarted: list[str] = []
    limit = asyncio.Semaphore(_RESTARTS_AT_ONCE)

    async def restart(envoy: Envoy) -> None:
        try:
            async with limit:
                await envoy.restart()
            restarted.append(envoy.record.title)
        except SkepError as error:
            if request.names or envoy in envoys.list():  # else it left meanwhile with its instance, which is no failure
                failed[envoy.record.title] = error.message

    async with asyncio.TaskGroup() as group:
        for envoy in chosen:
            group.create_task(restart(envoy))
    return Restarted(sorted(restarted), failed)


def _is_meant(envoy: Envoy, request: RestartEnvoy) -> bool:
    record = envoy.record
    if request.namespace not in ("", record.namespace):
        return False
    return not request.names or record.name in request.names or record.title in request.names


async def list_proxies(parts: AgentParts) -> list[Proxy]:
    """Return every Envoy of the host with its state."""
    proxies: list[Proxy] = []
    async with asyncio.TaskGroup() as group:
        for envoy in parts.envoys.list():
            group.create_task(_append(proxies, _describe(parts, envoy)))
    return sorted(proxies, key=lambda proxy: proxy.name)


async def _append(proxies: list[Proxy], describing: Coroutine[Any, Any, Proxy]) -> None:
    proxies.append(await describing)


async def _describe(parts: AgentParts, envoy: Envoy) -> Proxy:
    record, node = envoy.record, envoy.record.node
    attachment = parts.sidecars.attachments().get(key_of(node)) if isinstance(node, SidecarNode) else None
    return Proxy(
        name=record.name,
        title=record.title,
        namespace=record.namespace,
        kind="sidecar" if isinstance(node, SidecarNode) else "gateway",
        state=await envoy.state(),
        epoch=record.current.epoch if record.current else 0,
        draining=len(record.draining),
        deaths=envoy.deaths,
        process=record.current.process if record.current else "",
        admin=record.admin,
        outbound=node.outbound if isinstance(node, SidecarNode) else None,
        inbound=node.inbound[0].listen if isinstance(node, SidecarNode) else None,
        health=str(attachment.health) if attachment else "",
    )


async def locate_output(parts: AgentParts, request: ReadLogs) -> Place | None:
    """Find what a process or a pod writes to; None when it is unknown."""
    if request.process:
        process = await parts.runtime.load(request.process)
        if process is None:
            return None
        return Place({"stdout": process.stdout_path, "stderr": process.stderr_path}, process.state == "exited")
    try:
        stdout, stderr = parts.pods.output_of(request.namespace, request.pod, previous=request.previous)
    except NotFound:
        return None
    return Place({"stdout": str(stdout), "stderr": str(stderr)}, request.previous)


async def list_processes(runtime: Runtime) -> list[LocalProcess]:
    """Return every process the agent runs."""
    return [
        LocalProcess(
            name=process.spec.name,
            pid=process.pid,
            state=process.state,
            started_at=process.started_at,
            exit_code=process.exit_code,
            labels=process.spec.labels,
            stdout_path=process.stdout_path,
            stderr_path=process.stderr_path,
        )
        for process in await runtime.list()
    ]
