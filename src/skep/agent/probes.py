"""Asks a replica how it is. In: a probe and where the replica listens; out: verdicts that respect the thresholds.

`Tally` is the pure part. Every question has a time limit; an answer that fails is a fact, never an exception.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import httpx
import msgspec

from skep.workloads.template import Container, Exec, HttpGet, Probe, TcpSocket

LOOPBACK = "127.0.0.1"
EAGER_FIRST_S = 0.1
EAGER_MOST_S = 1.0
"""Until its first success a replica is also asked between the periods, so that it serves as soon as it can."""
BODY_LIMIT_BYTES = 10 * 1024


class Answer(msgspec.Struct, frozen=True):
    """One answer, and why it is bad."""

    good: bool
    message: str = ""


class Tally:
    """Counts answers in a row; the verdict turns when a threshold is reached."""

    def __init__(self, probe: Probe, *, good: bool) -> None:
        self._needed = {True: probe.success_threshold, False: probe.failure_threshold}
        self._same = 0
        self._latest: bool | None = None
        self.good = good

    def note(self, good: bool) -> bool:
        """Count an answer and return the verdict."""
        self._same = self._same + 1 if good == self._latest else 1
        self._latest = good
        if self._same >= self._needed[good]:
            self.good = good
        return self.good

    @property
    def failed(self) -> bool:
        """Whether failures in a row reached their threshold."""
        return self._latest is False and self._same >= self._needed[False]

    def restart(self) -> None:
        """Count afresh; the verdict stays."""
        self._same, self._latest = 0, None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: a replica as it runs."""

    container: Container
    port: int
    """The replica's own port, which stands for its declared ones."""
    env: Mapping[str, str]
    directory: str | None = None


class Prober:
    """Sends the questions; shares one HTTP client among all replicas."""

    def __init__(self) -> None:
        # A fresh connection for each question, as a caller would make: a replica that stopped accepting is found out.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._http = httpx.AsyncClient(verify=False, trust_env=False, limits=limits, timeout=None)  # noqa: S501, S113  probes trust their own replica; ask() has the limit

    async def close(self) -> None:
        """Close the client."""
        await self._http.aclose()

    async def ask(self, probe: Probe, target: Target) -> Answer:
        """Ask once; late is bad."""
        try:
            async with asyncio.timeout(probe.timeout_seconds):
                if probe.http_get is not None:
                    return await self._get(probe.http_get, target)
                if probe.tcp_socket is not None:
                    return await connect(probe.tcp_socket, target)
                if probe.exec is not None:
                    return await run_command(probe.exec, target)
        except TimeoutError:
            return Answer(False, f"no answer within {probe.timeout_seconds} s")
        return Answer(True)  # a handler that is not honoured, which the status says

    async def _get(self, question: HttpGet, target: Target) -> Answer:
        host = question.host or LOOPBACK
        port = actual_port(question.port, target)
        path = question.path if question.path.startswith("/") else f"/{question.path}"
        headers = {"user-agent": "skep-probe", "accept": "*/*"} | {one.name: one.value for one in question.http_headers}
        url = f"{question.scheme.lower()}://{f'[{host}]' if ':' in host else host}:{port}{path}"
        try:
            async with self._http.stream("GET", url, headers=headers) as response:
                size = 0
                async for block in response.aiter_raw():
                    size += len(block)
                    if size > BODY_LIMIT_BYTES:
                        break
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            return Answer(False, f"GET {url}: {error or type(error).__name__}")
        good = 200 <= response.status_code < 400
        return Answer(good, "" if good else f"GET {url}: answered {response.status_code}")


async def connect(question: TcpSocket, target: Target) -> Answer:
    """Open a connection and close it."""
    host, port = question.host or LOOPBACK, actual_port(question.port, target)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return Answer(False, f"connect to {host}:{port}: {error.strerror or error}")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Answer(True)


async def run_command(question: Exec, target: Target) -> Answer:
    """Run a command as the replica would; it and its children are gone when this returns."""
    try:
        process = await asyncio.create_subprocess_exec(
            *question.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(target.env),
            cwd=target.directory,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Answer(False, f"{question.command[0]}: {error}")
    try:
        code = await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())
    return Answer(code == 0, "" if code == 0 else f"{question.command[0]}: exit code {code}")


def actual_port(port: int | str, target: Target) -> int:
    """Return where to ask: a declared port, by number or name, is the replica's own; another number is meant as it is."""
    declared = target.container.ports
    if isinstance(port, str) or not declared or port in {one.container_port for one in declared}:
        return target.port
    return port


async def follow(
    probe: Probe, ask: Callable[[], Awaitable[Answer]], *, delay_s: float = 0.0, eager: bool = False
) -> AsyncIterator[Answer]:
    """Yield an answer after a delay, then one a period; `eager` adds early good ones in between."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(delay_s)
    eager = eager and probe.exec is None  # commands cost too much to be run in between
    while True:
        next_at = loop.time() + probe.period_seconds
        answer = await ask()
        yield answer
        pause_s = EAGER_FIRST_S
        while eager and not answer.good and loop.time() + pause_s < next_at:
            await asyncio.sleep(pause_s)
            pause_s = min(EAGER_MOST_S, pause_s * 1.5)
            answer = await ask()
            if answer.good:
                yield answer
        eager = eager and not answer.good
        await asyncio.sleep(max(0.0, next_at - loop.time()))
