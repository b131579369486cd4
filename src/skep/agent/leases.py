"""Keeps this host's instances registered: one batch of beats for all of them, three in each lease.

In: instances to hold and to release; out: calls to the registry. While the control plane is away it keeps trying and
forgets nothing; instances the registry does not know are registered again at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol, cast

import msgspec

from skep.clock import Clock
from skep.errors import Denied, Invalid, NotFound, SkepError, Unavailable
from skep.model.instance import Health, Instance, InstanceKey
from skep.watch import Cell

log = logging.getLogger(__name__)

BEATS_IN_A_LEASE = 3
_FIRST_RETRY_S, _LAST_RETRY_S = 0.2, 2.0
_IDLE_S = 3600.0


class RegistryClient(Protocol):
    """The calls of the registry that an agent needs; all raise `Unavailable` when it does not answer in time."""

    async def register(self, instances: Sequence[Instance]) -> None:
        """Add or replace instances; durable when it returns."""
        ...

    async def renew(self, keys: Sequence[InstanceKey]) -> Sequence[InstanceKey]:
        """Keep leases; returns the instances the registry does not know."""
        ...

    async def deregister(self, keys: Sequence[InstanceKey]) -> object:
        """Remove instances; unknown ones are fine."""
        ...


class Leases:
    """What this host has registered, and what it wants to have registered."""

    def __init__(self, registry: RegistryClient, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._wanted: dict[InstanceKey, Instance] = {}
        self._registered: dict[InstanceKey, Instance] = {}
        self._leaving: set[InstanceKey] = set()
        self._refused: dict[InstanceKey, SkepError] = {}
        self._wake = asyncio.Event()
        self._rounds = Cell(0)
        self._renewed_s = clock.monotonic()
        self._retry_s = 0.0

    def keep(self, instance: Instance) -> None:
        """Hold an instance without waiting for the registry: one that an earlier agent registered."""
        self._wanted[instance.key] = instance
        self._leaving.discard(instance.key)
        self._refused.pop(instance.key, None)
        self._wake.set()

    async def hold(self, instance: Instance, limit_s: float = 10.0) -> None:
        """Register an instance and keep its lease.

        `Invalid` when the registry refuses it, `Unavailable` when it does not answer in time; then it is not held.
        """
        self.keep(instance)
        key = instance.key
        try:
            await self._until(lambda: self._is_settled(key), limit_s)
            if key in self._refused:
                raise self._refused[key]
        except TimeoutError:
            self._give_up(key)
            raise Unavailable("the registry does not answer; see that `skep up` or `skep server` runs") from None
        except BaseException:
            self._give_up(key)
            raise

    def set_health(self, key: InstanceKey, health: Health) -> None:
        """Report a change of health as soon as possible; `NotFound` for an instance that is not held."""
        instance = self._wanted.get(key)
        if instance is None:
            raise NotFound(f"no instance {key.namespace}/{key.service}/{key.id} on this host")
        if instance.health != health:
            self._wanted[key] = msgspec.structs.replace(instance, health=health)
            self._wake.set()

    async def reported(self, key: InstanceKey, limit_s: float) -> bool:
        """Wait until the registry has what is known of an instance; False when it did not take it in time."""
        with contextlib.suppress(TimeoutError):
            await self._until(lambda: self._is_settled(key), limit_s)
            return True
        return False

    async def release(self, keys: Sequence[InstanceKey], limit_s: float = 2.0) -> None:
        """Deregister instances; when the registry is away their leases run out by themselves."""
        for key in keys:
            self._give_up(key)
        with contextlib.suppress(TimeoutError):
            await self._until(lambda: not self._leaving.intersection(keys), limit_s)

    def list(self) -> Sequence[Instance]:
        """Return the instances of this host, sorted."""
        return [self._wanted[key] for key in sorted(self._wanted)]

    async def run(self) -> None:
        """Talk to the registry until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._wake.wait()
            self._wake.clear()
            await self._round()
            self._rounds.set(self._rounds.value + 1)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _give_up(self, key: InstanceKey) -> None:
        if self._wanted.pop(key, None) is not None or key in self._registered:
            self._leaving.add(key)
        self._registered.pop(key, None)
        self._wake.set()

    def _is_settled(self, key: InstanceKey) -> bool:
        return key in self._refused or self._registered.get(key) == self._wanted.get(key)

    async def _until(self, condition: Callable[[], bool], limit_s: float) -> None:
        rounds = cast("AsyncGenerator[int, None]", self._rounds.subscribe())
        async with asyncio.timeout(limit_s), contextlib.aclosing(rounds):
            async for _ in rounds:
                if condition():
                    return

    def _interval_s(self) -> float:
        lease_s = min((instance.lease_s for instance in self._wanted.values()), default=_IDLE_S)
        return lease_s / BEATS_IN_A_LEASE

    def _pause_s(self) -> float:
        if self._retry_s:
            return self._retry_s
        return max(0.0, self._renewed_s + self._interval_s() - self._clock.monotonic())

    async def _round(self) -> None:
        """Do what is due; beats first, because they work even while the registry's store does not."""
        failure = None
        for step in (self._renew, self._deregister, self._register):
            try:
                await step()
            except SkepError as error:
                failure = error
        if failure is None:
            if self._retry_s:
                log.info("the registry answers again")
            self._retry_s = 0.0
        else:
            if not self._retry_s:
                log.warning("the registry does not take our instances, trying again: %s", failure)
            self._retry_s = min(_LAST_RETRY_S, self._retry_s * 2 or _FIRST_RETRY_S)

    async def _renew(self) -> None:
        if self._clock.monotonic() < self._renewed_s + self._interval_s() and not self._retry_s:
            return
        if self._registered:
            for key in await self._registry.renew(sorted(self._registered)):
                self._registered.pop(key, None)
        self._renewed_s = self._clock.monotonic()

    async def _deregister(self) -> None:
        leaving = sorted(self._leaving)
        if leaving:
            await self._registry.deregister(leaving)
            self._leaving.difference_update(leaving)

    async def _register(self) -> None:
        wanted = [
            instance
            for key, instance in self._wanted.items()
            if self._registered.get(key) != instance and key not in self._refused
        ]
        if not wanted:
            return
        try:
            await self._registry.register(wanted)
            self._note_registered(wanted)
        except (Invalid, Denied):
            # The batch is taken whole or not at all: find the one that spoils it.
            for instance in wanted:
                await self._register_one(instance)

    async def _register_one(self, instance: Instance) -> None:
        try:
            await self._registry.register([instance])
        except (Invalid, Denied) as error:
            log.warning("instance %s/%s is refused: %s", instance.service, instance.id, error)
            self._refused[instance.key] = error
        else:
            self._note_registered([instance])

    def _note_registered(self, instances: Sequence[Instance]) -> None:
        for instance in instances:
            if instance.key in self._wanted:
                self._registered[instance.key] = instance
            else:  # released while the call was on its way
                self._leaving.add(instance.key)
                self._wake.set()
