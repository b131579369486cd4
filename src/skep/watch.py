"""A cell that holds the latest value: the only channel between tasks.

A subscriber sees the current value first and then newer ones; values it was too slow for are skipped, never queued.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Cell(Generic[T]):
    """The latest value of something, and a way to wait for a newer one."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._version = 0
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def value(self) -> T:
        """The latest value."""
        return self._value

    def set(self, value: T) -> None:
        """Replace the value and wake every subscriber. Call from the event loop's thread."""
        self._value = value
        self._version += 1
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def subscribe(self) -> AsyncIterator[T]:
        """Yield the current value at once, then the latest value after each change."""
        seen = -1
        while True:
            while seen == self._version:
                future = asyncio.get_running_loop().create_future()
                self._waiting.add(future)
                try:
                    await future
                finally:
                    self._waiting.discard(future)
            seen = self._version
            yield self._value
