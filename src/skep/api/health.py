"""Whether the server lives and is ready, and which version it is: paths that need no token."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from skep.api.parts import Parts
from skep.api.reply import reply

_KUBERNETES = ("1", "37")
"""The API conventions followed, as clients compare versions by them."""


def health_routes(parts: Parts) -> list[Route]:
    """Return the routes."""

    async def live(request: Request) -> Response:
        del request
        return PlainTextResponse("ok")

    async def ready(request: Request) -> Response:
        del request
        reason = parts.readiness()
        return PlainTextResponse(reason or "ok", 503 if reason else 200)

    async def version(request: Request) -> Response:
        del request
        major, minor = _KUBERNETES
        return reply(
            {
                "major": major,
                "minor": minor,
                "gitVersion": f"v{major}.{minor}.0+skep.{parts.version}",
                "gitCommit": "",
                "gitTreeState": "",
                "buildDate": "",
                "goVersion": "",
                "compiler": "",
                "platform": "linux/amd64",
            }
        )

    endpoints = (("/livez", live), ("/readyz", ready), ("/healthz", ready), ("/version", version))
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints]
