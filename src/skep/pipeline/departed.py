"""Remembers for a while the names whose last instance left, so that calls during a restart meet 503 (come back) and not 404.

In: names with the ports they had; out: facts. Pure: the time is a parameter. Names that a Service declares need no memory.
"""

from skep.compiler.facts import RememberedFact
from skep.compiler.memo import Memo
from skep.model.names import ServiceId

KEPT_S = 300.0


class Departed:
    """The names that nothing is registered under any more."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._until: dict[ServiceId, float] = {}  # the next to be forgotten first

    def note(self, service: ServiceId, ports: frozenset[int], now: float) -> None:
        """The last instance of a service left."""
        self._memo.set(RememberedFact(service), ports)
        self._until.pop(service, None)
        self._until[service] = now + KEPT_S

    def expire(self, now: float) -> None:
        """Forget names that nobody came back for."""
        for service in [service for service, until in self._until.items() if until <= now]:
            del self._until[service]
            self._memo.set(RememberedFact(service), None)
