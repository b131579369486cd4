"""The only clock. Runners take one as a parameter, so tests set the time instead of waiting for it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time twice: for people, and for measuring."""

    def now(self) -> datetime:
        """Return the wall-clock time in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the wall-clock time in UTC."""
        return datetime.now(UTC)  # noqa: TID251  the one place that may

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()  # noqa: TID251  the one place that may


class FakeClock:
    """A clock that a test moves."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """Return the start plus what was advanced."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Return the seconds that were advanced."""
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._elapsed_s += seconds


def rfc3339(moment: datetime) -> str:
    """Format a UTC moment as Kubernetes does: seconds, with a Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
