"""The registry over HTTP, under /registry/v1: register, renew, report health, deregister, query, watch.

In: JSON; out: JSON, and Kubernetes `Status` documents for errors, with the path of every mistake. A batch is taken whole or
not at all. Beats of one instance are answered by `LeaseFastPath`, before any routing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Final, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skep.api.auth import subject_of
from skep.api.errors import Problem
from skep.api.registry_views import Wanted, instance_document, names_document, render_query, render_watch
from skep.api.reply import reply, reply_error
from skep.auth.policy import Subject, why_denied
from skep.errors import Denied, Invalid, NotFound, SkepError
from skep.model.instance import Health, Instance, InstanceKey
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.violation import Violation
from skep.registry.registration import parse_health, parse_instance, parse_key, why_not_source
from skep.registry.service import Registry
from skep.watch import Cell

PREFIX: Final = "/registry/v1"
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_BATCH: Final = 5_000
_INSTANCE: Final = PREFIX + "/namespaces/{namespace}/services/{service}/instances/{id}"
_CHUNK: Final = 200

Endpoint = Callable[[Registry, Request], Awaitable[Response]]


class Beat(msgspec.Struct, frozen=True):
    """One instance's line in a batch of beats."""

    namespace: Namespace
    service: ServiceName
    id: InstanceId
    health: Health | None = None


class Beats(msgspec.Struct, frozen=True):
    """A batch of beats, and who sends it."""

    instances: list[Beat]
    source: str = ""


_BEATS = msgspec.json.Decoder(Beats)


def registry_routes(registry: Registry, stopping: Cell[bool]) -> list[Route]:
    """Return the routes of the registry's API; watches end when `stopping` turns true."""

    async def query(registry: Registry, request: Request) -> Response:
        return await _query(registry, request, stopping)

    def route(path: str, method: str, endpoint: Endpoint) -> Route:
        return Route(path, _answering(registry, endpoint), methods=[method])

    return [
        route(PREFIX + "/instances", "GET", query),
        route(PREFIX + "/instances", "POST", _register_batch),
        route(PREFIX + "/leases", "POST", _renew_batch),
        route(PREFIX + "/deregistrations", "POST", _deregister_batch),
        route(_INSTANCE, "GET", _read_one),
        route(_INSTANCE, "PUT", _register_one),
        route(_INSTANCE, "DELETE", _deregister_one),
        route(_INSTANCE + "/lease", "PUT", _renew_one),
    ]


class LeaseFastPath:
    """Answers a beat of one known instance before the web framework sees it; passes everything else on unchanged.

    `subject_of` tells who an Authorization header belongs to. Whatever is unusual (no or a wrong token, a body, an
    unknown instance) is left to the routes behind, so that this path can only ever answer 204.
    """

    def __init__(self, app: ASGIApp, registry: Registry, subject_of: Callable[[str], Subject | None]) -> None:
        self._app = app
        self._renew = registry.renew
        self._subject_of = subject_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and scope["method"] == "PUT" and self._is_renewed(scope):
            await send(_NO_CONTENT)
            await send(_NO_BODY)
        else:
            await self._app(scope, receive, send)

    def _is_renewed(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if not (path.endswith("/lease") and path.startswith(PREFIX)):
            return False
        parts = path.split("/")
        if len(parts) != 10 or parts[3] != "namespaces" or parts[5] != "services" or parts[7] != "instances":
            return False
        token = ""
        for name, value in scope["headers"]:
            if name == b"authorization":
                token = value.decode("latin-1")
            elif (name == b"content-length" and value != b"0") or name == b"transfer-encoding":
                return False
        if token[:7].lower() != "bearer ":
            return False
        subject = self._subject_of(token[7:].strip())
        if subject is None or why_denied(subject, "update", "registry") is not None:
            return False
        return not self._renew((InstanceKey(Namespace(parts[4]), ServiceName(parts[6]), InstanceId(parts[8])),))


_NO_CONTENT: Final[Message] = {"type": "http.response.start", "status": 204, "headers": []}
_NO_BODY: Final[Message] = {"type": "http.response.body", "body": b""}


def _answering(registry: Registry, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint of a function that raises, and keep those out who may not write."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            verb = "get" if request.method == "GET" else "update"
            reason = why_denied(subject_of(request.scope), verb, "registry")
            if reason is not None:
                raise Denied(f"registry: {reason}")
            return await endpoint(registry, request)
        except SkepError as error:
            return reply_error(error)

    return answer


async def _register_one(registry: Registry, request: Request) -> Response:
    names = {name: request.path_params[name] for name in ("namespace", "service", "id")}
    parsed = parse_instance(await _json(request), "", names)
    if not isinstance(parsed, Instance):
        raise Invalid(violations=parsed)
    is_new = registry.get(parsed.key) is None
    await registry.register([_sourced(parsed, request)])
    view = registry.view(parsed.key)
    assert view is not None
    return reply(instance_document(view), 201 if is_new else 200)


async def _register_batch(registry: Registry, request: Request) -> Response:
    instances: list[Instance] = []
    violations: list[Violation] = []
    for position, item in enumerate(_items(await _json(request))):
        parsed = parse_instance(item, f"instances[{position}]")
        if isinstance(parsed, Instance):
            instances.append(_sourced(parsed, request))
        else:
            violations.extend(parsed)
        if position % _CHUNK == _CHUNK - 1:
            await asyncio.sleep(0)
    if violations:
        raise Invalid(violations=violations)
    await registry.register(instances)
    return reply({"revision": registry.revision.value, "registered": len(instances)})


async def _renew_one(registry: Registry, request: Request) -> Response:
    key = _key(request)
    body = await _body(request)
    document = _decoded(body) if body.strip() else {}
    if not isinstance(document, dict):
        raise Invalid('the body must be a JSON object such as {"health": "passing"}, or absent')
    if "health" in document:
        health = parse_health(document["health"], "health")
        if not isinstance(health, Health):
            raise Invalid(violations=health)
        unknown = await registry.report_health([(key, health)])
    else:
        unknown = registry.renew([key])
    if unknown:
        raise _not_registered(key)
    return Response(status_code=204)


async def _renew_batch(registry: Registry, request: Request) -> Response:
    beats = _beats(await _body(request))
    silent: list[InstanceKey] = []
    reports: list[tuple[InstanceKey, Health]] = []
    for beat in beats.instances:
        key = InstanceKey(beat.namespace, beat.service, beat.id)
        if beat.health is None:
            silent.append(key)
        else:
            reports.append((key, beat.health))
    unknown = registry.renew(silent, beats.source)
    if reports:
        unknown += await registry.report_health(reports, beats.source)
    return reply({"unknown": [names_document(key) for key in unknown]})


async def _deregister_one(registry: Registry, request: Request) -> Response:
    key = _key(request)
    if registry.get(key) is None:
        raise _not_registered(key)
    await registry.deregister([key])
    return Response(status_code=204)


async def _deregister_batch(registry: Registry, request: Request) -> Response:
    parsed = [parse_key(item, f"instances[{n}]") for n, item in enumerate(_items(await _json(request)))]
    violations = [v for mistakes in parsed if not isinstance(mistakes, InstanceKey) for v in mistakes]
    if violations:
        raise Invalid(violations=violations)
    keys = [key for key in parsed if isinstance(key, InstanceKey)]
    unknown = [key for key in keys if registry.get(key) is None]
    await registry.deregister(keys)
    return reply({"unknown": [names_document(key) for key in unknown]})


async def _read_one(registry: Registry, request: Request) -> Response:
    key = _key(request)
    view = registry.view(key)
    if view is None:
        raise _not_registered(key)
    return reply(instance_document(view))


async def _query(registry: Registry, request: Request, stopping: Cell[bool]) -> Response:
    params = request.query_params
    wanted = Wanted(params)
    if params.get("watch", "").lower() in ("true", "1"):
        return StreamingResponse(render_watch(registry, wanted, stopping), media_type="application/json")
    return StreamingResponse(render_query(registry, wanted), media_type="application/json")


def _beats(body: bytes) -> Beats:
    """Read a batch of beats: at once when it is right, field by field to say what is wrong."""
    try:
        beats = _BEATS.decode(body)
    except msgspec.DecodeError:
        document = _decoded(body)
    else:
        _limit_batch(beats.instances)
        reason = why_not_source(beats.source)
        if reason:
            raise Invalid(violations=[Violation("source", "invalid", reason)])
        return beats
    violations: list[Violation] = []
    for position, item in enumerate(_items(document)):
        path = f"instances[{position}]"
        key = parse_key(item, path)
        if not isinstance(key, InstanceKey):
            violations.extend(key)
        if isinstance(item, dict) and item.get("health") is not None:
            health = parse_health(item["health"], f"{path}.health")
            if not isinstance(health, Health):
                violations.extend(health)
    raise Invalid(violations=violations or [Violation("source", "invalid", "must be a string")])


def _items(document: object) -> list[object]:
    items = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise Invalid(violations=[Violation("instances", "required", "must be a list")])
    _limit_batch(items)
    return cast("list[object]", items)


def _limit_batch(items: Sequence[object]) -> None:
    if len(items) > MAX_BATCH:
        message = f"must be at most {MAX_BATCH} in one request, not {len(items)}"
        raise Invalid(violations=[Violation("instances", "too-many", message)])


async def _json(request: Request) -> object:
    return _decoded(await _body(request))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise Problem(
                413, "RequestEntityTooLarge", f"the body is larger than {MAX_BODY_BYTES} bytes; send smaller batches"
            )
    return bytes(body)


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the body is not valid JSON: {error}") from error


def _sourced(instance: Instance, request: Request) -> Instance:
    """Name the caller as the source of a registration that names none."""
    if instance.source:
        return instance
    return msgspec.structs.replace(instance, source=subject_of(request.scope).name)


def _key(request: Request) -> InstanceKey:
    params = request.path_params
    return InstanceKey(Namespace(params["namespace"]), ServiceName(params["service"]), InstanceId(params["id"]))


def _not_registered(key: InstanceKey) -> NotFound:
    return NotFound(f"instance {key.namespace}/{key.service}/{key.id} is not registered; register it again")
