"""How failures are told over HTTP: one table from the error tree to a status and a reason, and the `Status` document.

An exception that is not in the tree becomes a 500 that says nothing of the inside; it is logged by `api/app.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from skep.errors import (
    Conflict,
    Denied,
    Expired,
    Invalid,
    NotFound,
    SkepError,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from skep.model.violation import Violation

ERRORS: Sequence[tuple[type[SkepError], int, str]] = (
    (Invalid, 400, "BadRequest"),
    (Unauthenticated, 401, "Unauthorized"),
    (Denied, 403, "Forbidden"),
    (NotFound, 404, "NotFound"),
    (Unsupported, 405, "MethodNotAllowed"),
    (Conflict, 409, "Conflict"),
    (Expired, 410, "Expired"),
    (Unavailable, 503, "ServiceUnavailable"),
)
CAUSES: Mapping[str, str] = {
    "required": "FieldValueRequired",
    "invalid": "FieldValueInvalid",
    "invalid-type": "FieldValueTypeInvalid",
    "unsupported": "FieldValueNotSupported",
    "duplicate": "FieldValueDuplicate",
    "not-found": "FieldValueNotFound",
    "forbidden": "FieldValueForbidden",
    "too-many": "FieldValueTooMany",
    "too-long": "FieldValueTooLong",
}
MAX_CAUSES = 500
RETRY_AFTER_S = 1


class Problem(SkepError):
    """A refusal that only HTTP knows: too large, wrong media type, exists already."""

    def __init__(self, status: int, reason: str, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.violations = tuple(violations)


class Subject(msgspec.Struct, frozen=True):
    """What a failed request was about, for messages and details."""

    group: str = ""
    kind: str = ""
    plural: str = ""
    name: str = ""

    @property
    def resource(self) -> str:
        """The plural with its group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


NOTHING = Subject()


def status_of(error: SkepError, about: Subject = NOTHING) -> dict[str, Any]:
    """Render an error as a `Status`; its `code` is the HTTP status."""
    if isinstance(error, Problem):
        details = _details(about)
        if error.violations:
            details["causes"] = [_cause(violation) for violation in error.violations[:MAX_CAUSES]]
        return _status(error.status, error.reason, error.message, details)
    if isinstance(error, Invalid) and error.violations:
        return _invalid(error, about)
    status, reason = next(((s, r) for known, s, r in ERRORS if isinstance(error, known)), (500, "InternalError"))
    details = _details(about)
    if status == 503:
        details["retryAfterSeconds"] = RETRY_AFTER_S
    return _status(status, reason, error.message, details)


def internal_error() -> dict[str, Any]:
    """Say that something is wrong with the server, and nothing else."""
    return _status(500, "InternalError", "an internal error occurred; the server's log has the details", {})


def not_found_path() -> dict[str, Any]:
    """Say that nothing is served at a path."""
    return _status(404, "NotFound", "the server could not find the requested resource", {})


def success(about: Subject, uid: str = "") -> dict[str, Any]:
    """Render the `Status` of something done."""
    details = _details(about)
    if uid:
        details["uid"] = uid
    return {**_envelope(), "status": "Success", "details": details}


def _invalid(error: Invalid, about: Subject) -> dict[str, Any]:
    shown = error.violations[:MAX_CAUSES]
    kind = f"{about.kind}.{about.group}" if about.group else about.kind
    listed = [f"{violation.path}: {violation.message}" for violation in shown]
    if len(error.violations) > len(shown):
        listed.append(f"and {len(error.violations) - len(shown)} more")
    paths = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    message = f'{kind} "{about.name}" is invalid: {paths}' if kind else paths
    details = _details(about)
    if about.kind:
        details["kind"] = about.kind
    details["causes"] = [_cause(violation) for violation in shown]
    return _status(422, "Invalid", message, details)


def _cause(violation: Violation) -> dict[str, str]:
    reason = CAUSES.get(violation.code, "FieldValueInvalid")
    return {"reason": reason, "message": violation.message, "field": violation.path}


def _details(about: Subject) -> dict[str, Any]:
    fields = {"name": about.name, "group": about.group, "kind": about.plural}
    return {key: value for key, value in fields.items() if value}


def _envelope() -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}}


def _status(code: int, reason: str, message: str, details: dict[str, Any]) -> dict[str, Any]:
    document = {**_envelope(), "status": "Failure", "message": message, "reason": reason}
    if details:
        document["details"] = details
    return {**document, "code": code}
