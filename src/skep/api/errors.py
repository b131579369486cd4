"""How failures look on the wire: one table from error class to HTTP status and Kubernetes `Status` reason.

In: an error of `skep.errors`; out: the `Status` document (Kubernetes API conventions, "Response Status Kind") and a response.
It must never show what is not in the error's message.
"""

from typing import Any

import msgspec
from starlette.responses import Response

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

TABLE: tuple[tuple[type[SkepError], int, str], ...] = (
    (Invalid, 422, "Invalid"),
    (NotFound, 404, "NotFound"),
    (Conflict, 409, "Conflict"),
    (Expired, 410, "Expired"),
    (Denied, 403, "Forbidden"),
    (Unauthenticated, 401, "Unauthorized"),
    (Unavailable, 503, "ServiceUnavailable"),
    (Unsupported, 405, "MethodNotAllowed"),
    (SkepError, 500, "InternalError"),
)
"""Class, HTTP status, reason; the first that fits holds."""
_CAUSES = {
    "required": "FieldValueRequired",
    "duplicate": "FieldValueDuplicate",
    "unsupported": "FieldValueNotSupported",
    "not-found": "FieldValueNotFound",
}


def status_document(error: SkepError, **details: Any) -> dict[str, Any]:
    """Render an error as a `Status`; `details` (name, group, kind) say which object it is about."""
    code, reason = next((code, reason) for kind, code, reason in TABLE if isinstance(error, kind))
    shown: dict[str, Any] = {name: value for name, value in details.items() if value}
    if isinstance(error, Invalid):
        if error.violations:
            shown["causes"] = [_cause(violation) for violation in error.violations]
        else:
            code, reason = 400, "BadRequest"
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": reason,
        "details": shown,
        "code": code,
    }


def error_response(error: SkepError, **details: Any) -> Response:
    """Answer a request with an error."""
    document = status_document(error, **details)
    return Response(msgspec.json.encode(document), document["code"], media_type="application/json")


def _cause(violation: Violation) -> dict[str, str]:
    reason = _CAUSES.get(violation.code, "FieldValueInvalid")
    return {"reason": reason, "message": violation.message, "field": violation.path}
