"""How one run of a replica is: its startup, readiness and liveness probes, in the order Kubernetes gives them.

In: a container and where it listens; out: calls to its `Patient` as verdicts turn. Never acts on the process itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from skep.agent.probes import Answer, Prober, Tally, Target, connect, follow
from skep.clock import Clock
from skep.workloads.template import Container, Probe, TcpSocket

FIRST_SIGN_S = 5.0
"""A replica without a readiness probe is ready when its port accepts, or after so long: it may listen nowhere."""
FIRST_SIGN_EVERY_S = 0.05


class Patient(Protocol):
    """Whose run it is."""

    def is_started(self) -> bool:
        """Tell whether the startup probe has passed, perhaps under an earlier agent."""
        ...

    def is_ready(self) -> bool:
        """Tell the latest verdict on readiness."""
        ...

    def started(self) -> None:
        """Note that it has started."""
        ...

    async def become_ready(self, ready: bool, answer: Answer) -> None:
        """Note that the verdict on readiness turned, and by which answer."""
        ...

    async def be_killed(self, kind: str, answer: Answer) -> None:
        """End the run: its startup or liveness probe failed."""
        ...


class Vitals:
    """The probes of one run."""

    def __init__(self, target: Target, patient: Patient, prober: Prober, clock: Clock) -> None:
        self._target = target
        self._container: Container = target.container
        self._patient = patient
        self._prober = prober
        self._clock = clock

    async def watch(self, ran_s: float) -> None:
        """Ask until cancelled, or until the run is to be killed. `ran_s` is for how long it has run already."""
        begun = self._clock.monotonic() - ran_s
        startup = self._container.startup_probe
        if startup is not None and not self._patient.is_started() and not await self._start(startup, ran_s):
            return
        ran_s = self._clock.monotonic() - begun
        self._patient.started()
        async with asyncio.TaskGroup() as group:
            if self._container.liveness_probe is not None:
                group.create_task(self._stay_alive(self._container.liveness_probe, ran_s))
            if self._container.readiness_probe is not None:
                group.create_task(self._stay_ready(self._container.readiness_probe, ran_s))
            else:
                await self._first_sign(ran_s)
                await self._patient.become_ready(True, Answer(True))

    async def _start(self, probe: Probe, ran_s: float) -> bool:
        tally = Tally(probe, good=False)
        delay_s = max(0.0, probe.initial_delay_seconds - ran_s)
        async for answer in follow(probe, self._asking(probe), delay_s=delay_s, eager=True):
            if tally.note(answer.good):
                break
            if tally.failed:
                await self._patient.be_killed("startup", answer)
                return False
        return True

    async def _stay_alive(self, probe: Probe, ran_s: float) -> None:
        tally = Tally(probe, good=True)
        # A program that has just started is not asked for its first period: it cannot answer yet.
        delay_s = max(float(probe.period_seconds), probe.initial_delay_seconds - ran_s)
        async for answer in follow(probe, self._asking(probe), delay_s=delay_s):
            if not tally.note(answer.good):
                await self._patient.be_killed("liveness", answer)
                return

    async def _stay_ready(self, probe: Probe, ran_s: float) -> None:
        tally = Tally(probe, good=self._patient.is_ready())
        delay_s = max(0.0, probe.initial_delay_seconds - ran_s)
        async for answer in follow(probe, self._asking(probe), delay_s=delay_s, eager=not tally.good):
            if tally.note(answer.good) != self._patient.is_ready():
                await self._patient.become_ready(tally.good, answer)

    async def _first_sign(self, ran_s: float) -> None:
        question = TcpSocket(port=self._target.port)
        itself = msgspec.structs.replace(self._target, container=Container(name="x"))
        end = self._clock.monotonic() + FIRST_SIGN_S - ran_s
        while self._clock.monotonic() < end and not self._patient.is_ready():
            if (await connect(question, itself)).good:
                return
            await asyncio.sleep(FIRST_SIGN_EVERY_S)

    def _asking(self, probe: Probe) -> Callable[[], Awaitable[Answer]]:
        return lambda: self._prober.ask(probe, self._target)
