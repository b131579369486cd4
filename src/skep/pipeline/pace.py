"""When declared objects may be compiled again. Pure: times go in, pauses come out.

One change is compiled at once. A stream of changes, each touching something large, is taken in ever fewer and larger steps,
so that the loop has time for its callers and proxies are not sent a table of ten thousand routes for each new one.
"""

LONGEST_S = 2.0
SHORTEST_S = 0.02
"""Rounds that cost less are not worth a pause."""
AT_ONCE_S = 0.05
"""A round that begins this soon after a pause was waiting for its end."""


class Pace:
    """Lets a round begin at once, and after an expensive one keeps the next waiting in proportion."""

    def __init__(self) -> None:
        self._free_from = 0.0
        self._in_a_row = 0

    def may_begin(self, now: float) -> bool:
        """Tell whether a round may begin."""
        return now >= self._free_from

    def ended(self, started: float, now: float) -> float:
        """Take note of a round; return how many seconds the next one has to wait, or 0."""
        spent = now - started
        if spent < SHORTEST_S:
            return 0.0
        waited = started - self._free_from < AT_ONCE_S
        self._in_a_row = self._in_a_row + 1 if waited else 1
        pause_s = min(spent * self._in_a_row, LONGEST_S)
        self._free_from = now + pause_s
        return pause_s
