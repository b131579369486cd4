"""When declared objects may be compiled again. Pure: times go in, pauses come out.

One change is compiled at once. A stream of changes, each touching something large, is taken in larger steps,
so that the loop has time for its callers and proxies are not sent a table of ten thousand routes for each new one.
"""

LONGEST_S = 1.0
SHORTEST_S = 0.02
"""Rounds that cost less are not worth a pause."""
STREAM = 4
"""Changes in one round, from which on it is part of a stream and the pause grows with them."""


class Pace:
    """Lets a round begin at once, and after an expensive one keeps the next waiting in proportion."""

    def __init__(self) -> None:
        self._free_from = 0.0

    def may_begin(self, now: float) -> bool:
        """Tell whether a round may begin."""
        return now >= self._free_from

    def ended(self, started: float, now: float, changes: int) -> float:
        """Take note of a round that took in so many changes; return how many seconds the next has to wait, or 0."""
        spent = now - started
        if spent < SHORTEST_S:
            return 0.0
        pause_s = min(spent * max(1.0, changes / STREAM), LONGEST_S)
        self._free_from = now + pause_s
        return pause_s
