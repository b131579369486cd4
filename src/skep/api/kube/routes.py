"""The routes of the resource API: discovery, OpenAPI, and one catch-all each for the core and the named groups."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from skep.api.errors import Problem, not_found_path
from skep.api.kube import discovery
from skep.api.kube.dispatch import ResourceApi
from skep.api.kube.openapi import OpenApi
from skep.api.parts import Parts
from skep.api.reply import reply, reply_error

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
Answer = Callable[[Request], Awaitable[ASGIApp]]


class _Endpoint:
    """An ASGI endpoint whose answer may be any ASGI app, such as a watch."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        await (await self._answer(request))(scope, receive, send)


def kube_routes(parts: Parts) -> list[Route]:
    """Return the routes, the specific ones first."""
    api, schemas = ResourceApi(parts), OpenApi(parts.version)

    async def core(request: Request) -> ASGIApp:
        if _wants_aggregated(request):
            return _aggregated(core=True)
        return reply(discovery.core_versions(request.headers.get("host", "")))

    async def named(request: Request) -> ASGIApp:
        return _aggregated(core=False) if _wants_aggregated(request) else reply(discovery.group_list())

    async def group(request: Request) -> ASGIApp:
        return _found(discovery.group(request.path_params["group"]))

    async def resources(request: Request) -> ASGIApp:
        params = request.path_params
        return _found(discovery.resource_list(params.get("group", ""), params.get("version", "v1")))

    async def openapi_v2(request: Request) -> ASGIApp:
        if "json" not in request.headers.get("accept", "json").replace("*/*", "json"):
            return reply_error(Problem(406, "NotAcceptable", "OpenAPI v2 is served as application/json only"))
        return reply(schemas.v2())

    async def openapi_index(request: Request) -> ASGIApp:
        del request
        return reply(schemas.index())

    async def openapi_v3(request: Request) -> ASGIApp:
        return _found(schemas.v3(request.path_params["path"]))

    read: list[tuple[str, Answer]] = [
        ("/api", core),
        ("/api/", core),
        ("/apis", named),
        ("/apis/", named),
        ("/api/v1", resources),
        ("/api/v1/", resources),
        ("/apis/{group}", group),
        ("/apis/{group}/", group),
        ("/apis/{group}/{version}", resources),
        ("/apis/{group}/{version}/", resources),
        ("/openapi/v2", openapi_v2),
        ("/openapi/v3", openapi_index),
        ("/openapi/v3/{path:path}", openapi_v3),
    ]
    routes = [Route(path, _Endpoint(answer), methods=["GET", "HEAD"]) for path, answer in read]
    catch_all = ("/api/v1/{path:path}", "/apis/{group}/{version}/{path:path}")
    return routes + [Route(path, _Endpoint(api.answer), methods=list(_METHODS)) for path in catch_all]


def _wants_aggregated(request: Request) -> bool:
    return "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" in request.headers.get("accept", "").replace(" ", "")


def _aggregated(*, core: bool) -> Response:
    response = reply(discovery.aggregated(core=core))
    response.headers["Content-Type"] = _AGGREGATED
    return response


def _found(document: dict[str, Any] | bytes | None) -> Response:
    return reply(not_found_path(), 404) if document is None else reply(document)
