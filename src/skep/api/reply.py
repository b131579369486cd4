"""Replies as bytes: JSON bodies, `Status` documents, warnings. The only place that builds responses."""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.responses import Response

from skep.api.errors import NOTHING, RETRY_AFTER_S, Subject, status_of
from skep.errors import SkepError

MAX_WARNINGS = 32


def reply(content: bytes | Any, status: int = 200, warnings: Iterable[str] = ()) -> Response:
    """Answer with JSON; bytes are taken as they are."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return with_warnings(Response(body, status, media_type="application/json"), warnings)


def with_warnings(response: Response, warnings: Iterable[str]) -> Response:
    """Add warnings to an answer, as many as its headers may hold."""
    for count, warning in enumerate(warnings):
        if count == MAX_WARNINGS:
            response.headers.append("Warning", '299 - "there are more warnings"')
            break
        response.headers.append("Warning", f'299 - "{_quoted(warning)}"')
    return response


def reply_error(error: SkepError, about: Subject = NOTHING) -> Response:
    """Answer with the `Status` of an error."""
    document = status_of(error, about)
    response = reply(document, document["code"])
    if response.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    elif response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="skep"'
    return response


def _quoted(text: str) -> str:
    """Make a text fit a header: printable ASCII, quotes escaped, not too long."""
    plain = "".join(char if " " <= char <= "~" else "?" for char in text[:250])
    return plain.replace("\\", "\\\\").replace('"', '\\"')
