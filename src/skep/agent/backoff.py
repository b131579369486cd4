"""How long to wait before trying again. Pure: the time is a parameter, randomness is left out."""


class Backoff:
    """Doubling waits that start over once things went well for a while."""

    def __init__(self, first_s: float, most_s: float, calm_s: float = 30.0) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._calm_s = calm_s
        self._failures = 0

    def wait_s(self, ran_s: float) -> float:
        """Return the wait after a failure of something that ran for `ran_s`: nothing for the first, then doubling."""
        if ran_s >= self._calm_s:
            self._failures = 0
        self._failures += 1
        if self._failures == 1:
            return 0.0
        return min(self._most_s, self._first_s * 2.0 ** min(self._failures - 2, 30))

    def reset(self) -> None:
        """It went well."""
        self._failures = 0
