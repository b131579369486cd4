"""Composes the HTTP face: authentication in front, then the registry, the resource API and health; `Status` for the rest.

In: `Parts`; out: an ASGI app. An exception nobody expected is logged here with its request, and told as a bare 500.
"""

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skep.api.auth import Authentication
from skep.api.errors import Problem, internal_error, not_found_path
from skep.api.health import health_routes
from skep.api.kube.routes import kube_routes
from skep.api.parts import Parts
from skep.api.registry import LeaseFastPath, registry_routes
from skep.api.reply import reply, reply_error
from skep.errors import SkepError

_log = logging.getLogger(__name__)


def build_app(parts: Parts) -> ASGIApp:
    """Return the whole HTTP face as one ASGI app."""
    routes: list[BaseRoute] = [*health_routes(parts), *kube_routes(parts)]
    if parts.registry is not None:
        routes += registry_routes(parts.registry, parts.stopping)
    framework = Starlette(
        routes=routes, exception_handlers={HTTPException: _refused, SkepError: _told, Exception: _broken}
    )
    framework.router.redirect_slashes = False
    app: ASGIApp = Authentication(_Guard(framework), parts.tokens)
    if parts.registry is not None:
        app = LeaseFastPath(app, parts.registry, parts.tokens.subject)
    return app


class _Guard:
    """Turns what nobody expected into a 500 that tells nothing, and a line in the log that tells all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception:  # noqa: BLE001
            # The one place that may: the edge of the process, where a bug must not end the connection unanswered.
            _log.exception("%s %s failed", scope.get("method"), scope.get("path"))
            if not started:
                await reply(internal_error(), 500)(scope, receive, send)


async def _refused(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses, as a `Status`."""
    del request
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return reply(not_found_path(), 404)
    reasons = {405: "MethodNotAllowed"}
    reason = reasons.get(error.status_code, "BadRequest" if error.status_code < 500 else "InternalError")
    return reply_error(Problem(error.status_code, reason, str(error.detail)))


async def _told(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, SkepError)
    return reply_error(error)


async def _broken(request: Request, error: Exception) -> Response:
    """Answer for a bug; the guard around the framework logs it."""
    del request, error
    return reply(internal_error(), 500)
