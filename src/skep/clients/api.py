"""Talks to a Skep server over HTTP, as the command line and the agent do: objects, tables, watches, the registry.

In: paths and JSON documents; out: documents, or the server's error as the matching class of `skep.errors`, with its
message and violations. Every call has a time limit. It never goes through a proxy of the environment.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx
import msgspec

from skep.clients.errors import error_from_response, unreachable
from skep.errors import Expired, Unavailable

Document = dict[str, Any]
PatchKind = Literal["merge", "strategic", "json"]

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PATCH_TYPES: Mapping[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
WATCH_S = 300
"""How long one watch request lasts; `follow` begins another."""
_MAX_LINE_BYTES = 16 * 1024 * 1024
_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Event(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    object: Document


class ApiClient:
    """A connection pool to one server. Use it as an async context manager, or call `close`."""

    def __init__(
        self, server: str, token: str = "", *, timeout_s: float = 10.0, socket_path: str | None = None
    ) -> None:
        self.server = server.rstrip("/")
        headers = {"user-agent": "skep"} | ({"authorization": f"Bearer {token}"} if token else {})
        transport = None if socket_path is None else httpx.AsyncHTTPTransport(uds=socket_path)
        # trust_env off: this process may itself run with http_proxy pointing into the mesh.
        self._http = httpx.AsyncClient(
            base_url=self.server, headers=headers, timeout=timeout_s, transport=transport, trust_env=False
        )

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request; raise the server's error. For what the calls below do not cover, such as warnings."""
        content = None if body is None else msgspec.json.encode(body)
        sent = ({"content-type": "application/json"} if content is not None else {}) | dict(headers or {})
        try:
            response = await self._http.request(method, path, content=content, params=_given(params), headers=sent)
        except httpx.HTTPError as error:
            raise unreachable(self.server, error) from error
        if response.is_error:
            raise error_from_response(response.status_code, response.content)
        return response

    async def get(self, path: str, **params: Any) -> Document:
        """Read an object, or any JSON document."""
        return _document(await self.send("GET", path, params=params))

    async def list(self, path: str, **params: Any) -> Document:
        """Read a list, with `items` and `metadata.resourceVersion`; params as in labelSelector, fieldSelector."""
        return await self.get(path, **params)

    async def table(self, path: str, **params: Any) -> Document:
        """Read an object or a list as the rows to print."""
        return _document(await self.send("GET", path, params=params, headers={"accept": TABLE}))

    async def create(self, path: str, document: Mapping[str, Any], **params: Any) -> Document:
        """Create an object; the path is its collection's."""
        return _document(await self.send("POST", path, document, params=params))

    async def update(self, path: str, document: Mapping[str, Any], **params: Any) -> Document:
        """Replace an object, or a subresource such as its status."""
        return _document(await self.send("PUT", path, document, params=params))

    async def patch(self, path: str, patch: object, kind: PatchKind = "merge", **params: Any) -> Document:
        """Change part of an object."""
        headers = {"content-type": PATCH_TYPES[kind]}
        return _document(await self.send("PATCH", path, patch, params=params, headers=headers))

    async def delete(self, path: str, **params: Any) -> Document:
        """Delete an object."""
        return _document(await self.send("DELETE", path, params=params))

    async def watch(self, path: str, **params: Any) -> AsyncIterator[Event]:
        """Yield what changes, until the server ends it; with `resourceVersion`, what changed after that."""
        asked = {"allowWatchBookmarks": "true", "timeoutSeconds": WATCH_S, **params, "watch": "true"}
        async with self.stream(path, asked) as lines:
            async for line in lines:
                event = msgspec.json.decode(line, type=Event)
                if event.type == "ERROR":
                    raise error_from_response(event.object.get("code", 500), msgspec.json.encode(event.object))
                yield event

    async def follow(self, path: str, **params: Any) -> AsyncIterator[Mapping[tuple[str, str], Document]]:
        """Yield all objects by namespace and name, at once and after each change, for ever.

        While the server is away nothing is yielded; afterwards what is missing is made up for, by a new list when needed.
        """
        failures = 0
        state: dict[tuple[str, str], Document] = {}
        revision = ""
        while True:
            try:
                if not revision:
                    listed = await self.list(path, **params)
                    revision = listed["metadata"]["resourceVersion"]
                    state = {_name(item): item for item in listed.get("items", [])}
                    failures = 0
                    yield dict(state)
                async for event in self.watch(path, **params, resourceVersion=revision):
                    failures = 0
                    revision = event.object["metadata"]["resourceVersion"]
                    if event.type == "BOOKMARK":
                        continue
                    if event.type == "DELETED":
                        state.pop(_name(event.object), None)
                    else:
                        state[_name(event.object)] = event.object
                    yield dict(state)
            except Expired:
                revision = ""
            except Unavailable:
                failures += 1
            # Also after a watch that ended well, so that a server which ends each at once is not hammered.
            await asyncio.sleep(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])

    def stream(
        self, path: str, params: Mapping[str, Any] | None = None, idle_s: float = WATCH_S + 30.0, accept: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a response that comes line by line (a watch, a log); silence longer than `idle_s` ends it."""
        return self._stream(path, params, idle_s, accept)

    @asynccontextmanager
    async def _stream(
        self, path: str, params: Mapping[str, Any] | None, idle_s: float, accept: str
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        timeout = httpx.Timeout(10.0, read=idle_s)
        headers = {"accept": accept} if accept else {}
        try:
            async with self._http.stream(
                "GET", path, params=_given(params), timeout=timeout, headers=headers
            ) as response:
                if response.is_error:
                    raise error_from_response(response.status_code, await response.aread())
                yield _lines(response)
        except httpx.HTTPError as error:
            raise unreachable(self.server, error) from error

    async def version(self) -> Document:
        """Ask which version the server is."""
        return await self.get("/version")

    async def is_ready(self) -> bool:
        """Tell whether the server answers and is ready."""
        try:
            await self.send("GET", "/readyz")
        except Unavailable:
            return False
        return True


class RegistryClient:
    """The registry's calls. Instances are documents as the registry's API has them."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def register(self, instances: Sequence[Mapping[str, Any]]) -> None:
        """Add or replace instances, all or none; durable on return."""
        await self._api.send("POST", "/registry/v1/instances", {"instances": instances})

    async def renew(self, beats: Sequence[Mapping[str, Any]], source: str = "") -> Sequence[Mapping[str, str]]:
        """Renew leases ({namespace, service, id}, and health if known); returns the names that are not registered."""
        answer = await self._api.send("POST", "/registry/v1/leases", {"instances": beats, "source": source})
        unknown: Sequence[Mapping[str, str]] = _document(answer)["unknown"]
        return unknown

    async def report_health(self, namespace: str, service: str, instance: str, health: str) -> None:
        """Report one instance's health, which renews its lease; `NotFound` when it is not registered."""
        await self._api.send("PUT", f"{instance_path(namespace, service, instance)}/lease", {"health": health})

    async def deregister(self, names: Sequence[Mapping[str, str]]) -> None:
        """Remove instances ({namespace, service, id}); unknown ones are passed over."""
        await self._api.send("POST", "/registry/v1/deregistrations", {"instances": names})

    async def query(self, **params: Any) -> Document:
        """Return `{"revision", "instances"}`; params: namespace, service, labelSelector, health."""
        return await self._api.get("/registry/v1/instances", **params)

    async def watch(self, **params: Any) -> AsyncIterator[Document]:
        """Yield the instances as ADDED lines, a BOOKMARK, and then what changes, until the server ends it."""
        async with self._api.stream("/registry/v1/instances", {**params, "watch": "true"}, idle_s=30.0) as lines:
            async for line in lines:
                event: Document = msgspec.json.decode(line)
                yield event


def resource_path(api_version: str, plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the path of a collection, an object or a subresource of it."""
    parts = ["/apis" if "/" in api_version else "/api", api_version]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(plural)
    parts += [quote(part, safe="") for part in (name, subresource) if part]
    return "/".join(parts)


def instance_path(namespace: str, service: str, instance: str) -> str:
    """Return the path of one instance in the registry's API."""
    names = (quote(name, safe="") for name in (namespace, service, instance))
    return "/registry/v1/namespaces/{}/services/{}/instances/{}".format(*names)


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Split at newlines only: JSON strings may hold other characters that end a line of text."""
    rest = bytearray()
    async for part in response.aiter_bytes():
        rest += part
        if len(rest) > _MAX_LINE_BYTES:
            raise Unavailable("the server sent a line that is too long")
        *whole, last = rest.split(b"\n")
        rest = bytearray(last)
        for line in whole:
            if line:
                yield bytes(line)
    if rest:
        yield bytes(rest)


def _document(response: httpx.Response) -> Document:
    try:
        document: Document = msgspec.json.decode(response.content, type=dict)
    except msgspec.DecodeError as error:
        raise Unavailable(f"the server's answer is not JSON: {error}") from error
    return document


def _given(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Leave out what was not given."""
    return {name: value for name, value in (params or {}).items() if value not in (None, "")} or None


def _name(document: Document) -> tuple[str, str]:
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
