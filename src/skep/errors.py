"""The small error tree: what a dependency's or a caller's failure can be.

Each class exists because some caller treats it differently; `api/` maps them to HTTP statuses in one table.
A user's mistake inside a manifest is data (`model.violation`), not an exception, until it reaches an edge as `Invalid`.
"""

from collections.abc import Sequence
from typing import ClassVar

from skep.model.violation import Violation


class SkepError(Exception):
    """Something went wrong that the caller can understand."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        """What was wrong, where, and what to do next."""
        return str(self)


class Invalid(SkepError):
    """The request is not valid."""

    code = "invalid"

    def __init__(self, message: str = "", violations: Sequence[Violation] = ()) -> None:
        self.violations = tuple(violations)
        super().__init__(message or "; ".join(str(v) for v in self.violations))


class NotFound(SkepError):
    """It does not exist."""

    code = "not-found"


class Conflict(SkepError):
    """It changed, or exists already; read it again and retry."""

    code = "conflict"


class Expired(SkepError):
    """The revision asked for is compacted; list again."""

    code = "expired"


class Denied(SkepError):
    """This identity may not do that."""

    code = "denied"


class Unauthenticated(SkepError):
    """No valid token was sent."""

    code = "unauthenticated"


class Unavailable(SkepError):
    """Something this needs is not available now; retry later."""

    code = "unavailable"


class Unsupported(SkepError):
    """This is not supported here."""

    code = "unsupported"
