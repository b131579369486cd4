"""One request to the resource API: path → target, method → verb, may the caller?, then the function that answers.

The only place that knows all of them. Errors become `Status` documents here, with what they are about.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from skep.api.auth import subject_of
from skep.api.errors import Problem, not_found_path
from skep.api.kube import patch as patches
from skep.api.kube import write
from skep.api.kube.admission import strict_problem
from skep.api.kube.body import JSON_TYPES, decode_document, decode_value, media_type, read_body
from skep.api.kube.duplicates import repeated_fields
from skep.api.kube.options import Options, parse_options
from skep.api.kube.read import get_object, list_objects
from skep.api.kube.scale import scale_of, scaled
from skep.api.kube.table import form_of
from skep.api.kube.target import Target, parse_target
from skep.api.kube.watch import EventCache, Watch
from skep.api.parts import LogQuery, Parts
from skep.api.reply import reply, reply_error, with_warnings
from skep.auth.policy import why_denied
from skep.errors import Denied, Invalid, NotFound, SkepError, Unavailable
from skep.kinds import Kind
from skep.store.backend import Entry
from skep.store.objects import read

_ON_OBJECT = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ON_COLLECTION = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


class ResourceApi:
    """Answers everything below /api/v1 and /apis/{group}/{version}."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._cache = EventCache()

    async def answer(self, request: Request) -> ASGIApp:
        """Answer one request; every expected failure as a `Status`."""
        params = request.path_params
        target = parse_target(params.get("group", ""), params.get("version", "v1"), params["path"])
        if target is None:
            return reply(not_found_path(), 404)
        try:
            options = parse_options(request.query_params)
            verb = _verb(request.method, target, options)
            reason = why_denied(subject_of(request.scope), verb, target.kind.resource, target.subresource)
            if reason is not None:
                about = f'{target.kind.resource} "{target.name}"' if target.name else target.kind.resource
                raise Denied(f"{about} is forbidden: cannot {verb}: {reason}")
            return await self._perform(request, verb, target, options)
        except SkepError as error:
            return reply_error(error, target.about)

    async def _perform(self, request: Request, verb: str, target: Target, options: Options) -> ASGIApp:
        form = form_of(request.headers.get("accept", ""))
        if target.subresource == "log":
            return await self._log(request, target)
        if target.subresource == "scale":
            return await self._scale(request, verb, target, options)
        match verb:
            case "get":
                return get_object(self._parts, target, form, options)
            case "list":
                return list_objects(self._parts, target, form, options)
            case "watch":
                return Watch(self._parts, self._cache, target, form, options)
            case "create":
                return await self._create(request, target, options)
            case "update":
                document, repeated = await _document(request, target, options)
                return with_warnings(await write.replace(self._parts, target, document, options), repeated)
            case "patch":
                change = await _patch(request, target, target.kind.merge_keys)
                return await write.change(self._parts, target, change, options)
            case "delete":
                return await write.delete(self._parts, target, await _optional_body(request), options)
            case _:
                return await write.delete_collection(self._parts, target, await _optional_body(request), options)

    async def _create(self, request: Request, target: Target, options: Options) -> Response:
        document, repeated = await _document(request, target, options)
        try:
            return with_warnings(await write.create(self._parts, target, document, options), repeated)
        except SkepError as error:
            # Only the body knows the name that the error is about.
            metadata = document.get("metadata")
            name = metadata.get("name") if isinstance(metadata, dict) else None
            about = msgspec.structs.replace(target.about, name=name if isinstance(name, str) else "")
            return reply_error(error, about)

    async def _scale(self, request: Request, verb: str, target: Target, options: Options) -> Response:
        if verb == "get":
            entry = self._parts.store.find(target.key)
            if entry is None:
                raise NotFound(target.missing)
            return reply(scale_of(read(entry.document, entry.revision)))
        if verb == "patch":
            change = await _patch(request, target, {})
        else:
            change = write.always(decode_document(await read_body(request), media_type(request)))
        answer = await write.change(
            self._parts, target, lambda present: scaled(present, change(scale_of(present))), options
        )
        return reply(scale_of(msgspec.json.decode(answer.body)), answer.status_code)

    async def _log(self, request: Request, target: Target) -> Response:
        entry: Entry | None = self._parts.store.find(target.key)
        if entry is None:
            raise NotFound(target.missing)
        if self._parts.pod_log is None:
            raise Unavailable("logs are not available from this server; use `skep logs` on the replica's host")
        query = request.query_params
        spec = msgspec.json.decode(entry.document).get("spec") or {}
        container = query.get("container", "")
        if container and container not in [each["name"] for each in spec.get("containers") or ()]:
            raise Invalid(f"container {container[:63]} is not valid for pod {target.name}")
        for option in ("sinceSeconds", "sinceTime", "timestamps"):
            if query.get(option, "") not in ("", "false"):
                raise Invalid(f"{option}: not supported: lines are kept as they were written, without their time")
        lines = await self._parts.pod_log(
            LogQuery(
                namespace=target.namespace,
                pod=target.name,
                container=container,
                node=spec.get("nodeName", ""),
                follow=query.get("follow", "") in ("true", "1"),
                previous=query.get("previous", "") in ("true", "1"),
                tail_lines=_count(query.get("tailLines", ""), "tailLines"),
                limit_bytes=_count(query.get("limitBytes", ""), "limitBytes"),
            )
        )
        return StreamingResponse(lines, media_type="text/plain")


def _verb(method: str, target: Target, options: Options) -> str:
    verb = (_ON_OBJECT if target.name else _ON_COLLECTION).get("GET" if method == "HEAD" else method)
    if verb is None or not _offered(verb, target):
        raise Problem(405, "MethodNotAllowed", f"{method} is not offered at this path")
    if verb in ("get", "list") and options.watch and not target.subresource:
        return "watch"
    return verb


def _offered(verb: str, target: Target) -> bool:
    kind: Kind = target.kind
    if target.subresource == "log":
        return verb == "get"
    if target.subresource:
        return verb in ("get", "update", "patch")
    # An object is created in its namespace, not beside all of them.
    return not (kind.namespaced and not target.namespace and verb in ("create", "deletecollection"))


async def _document(request: Request, target: Target, options: Options) -> tuple[dict[str, Any], list[str]]:
    """Return the document a caller sent, and what to warn of: members that stand in it twice."""
    body, media = await read_body(request), media_type(request)
    document = decode_document(body, media)
    repeated = repeated_fields(body) if media in JSON_TYPES and options.field_validation != "Ignore" else []
    if repeated and options.field_validation == "Strict":
        raise strict_problem(target, "duplicate field", repeated)
    return document, [f'duplicate field "{path}"' for path in repeated]


async def _patch(request: Request, target: Target, merge_keys: Mapping[str, str]) -> write.Change:
    media = media_type(request)
    patches.check_media(target, media)
    return patches.patcher(media, decode_value(await read_body(request), media), merge_keys)


async def _optional_body(request: Request) -> Mapping[str, Any]:
    body = await read_body(request)
    return decode_document(body, media_type(request)) if body.strip() else {}


def _count(text: str, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 12:
        raise Invalid(f"{name}: invalid value {text[:40]!r}: must be a number")
    return int(text)
