"""Turns a server's error response back into the error it was made of. In: a status and a body; out: a `SkepError`."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
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

_CLASSES: Mapping[int, type[SkepError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    405: Unsupported,
    406: Unsupported,
    409: Conflict,
    410: Expired,
    413: Invalid,
    415: Unsupported,
    422: Invalid,
}
_CODES: Mapping[str, str] = {
    "FieldValueRequired": "required",
    "FieldValueTypeInvalid": "invalid-type",
    "FieldValueNotSupported": "unsupported",
    "FieldValueDuplicate": "duplicate",
    "FieldValueNotFound": "not-found",
    "FieldValueForbidden": "forbidden",
    "FieldValueTooMany": "too-many",
    "FieldValueTooLong": "too-long",
}


def error_from_response(status: int, body: bytes) -> SkepError:
    """Return the error that a response tells of: a `Status` document, or any text."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        document = {"message": body[:500].decode("utf-8", "replace").strip()}
    message = str(document.get("message") or f"the server answered {status}")
    kind = _CLASSES.get(status, Unavailable)
    if kind is Invalid:
        return Invalid(message, _violations(document))
    return kind(message)


def unreachable(server: str, error: httpx.HTTPError) -> Unavailable:
    """Say that a server does not answer, and why."""
    if isinstance(error, httpx.ConnectError):
        return Unavailable(f"{server}: no server answers there ({error}); is `skep up` running?")
    if isinstance(error, httpx.TimeoutException):
        return Unavailable(f"{server}: no answer in time ({type(error).__name__})")
    return Unavailable(f"{server}: the connection broke: {error or type(error).__name__}")


def _violations(document: Mapping[str, Any]) -> Sequence[Violation]:
    details = document.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [
        Violation(
            str(cause.get("field", "")), _CODES.get(str(cause.get("reason")), "invalid"), str(cause.get("message", ""))
        )
        for cause in causes or ()
        if isinstance(cause, dict)
    ]
