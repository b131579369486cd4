"""Watches: what changed after a revision, as a stream that ends by itself when the server stops.

Each change is encoded once for all watchers of the same form. A watcher that narrows by a selector hears of an object
that no longer matches as deleted, and of one that begins to match as added.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec
from starlette.types import Receive, Scope, Send

from skep.api.errors import status_of
from skep.api.kube.encoding import watch_event
from skep.api.kube.options import Options, parse_revision
from skep.api.kube.read import View, select, view_of
from skep.api.kube.selectors import parse_selector
from skep.api.kube.table import Form, table
from skep.api.kube.target import Target
from skep.api.parts import Parts
from skep.api.reply import reply_error
from skep.errors import Expired, SkepError
from skep.store.backend import Change, Entry, Key

BOOKMARK_S = 30.0
MAX_WATCH_S = 3600.0
CACHE_LINES = 1_024
CACHE_BYTES = 8 * 1024 * 1024
_ADDED, _MODIFIED, _DELETED = "ADDED", "MODIFIED", "DELETED"


class EventCache:
    """The lines of recent changes, by revision and form, so that a thousand watchers cost one encoding."""

    def __init__(self) -> None:
        self._lines: OrderedDict[tuple[int, str, str, str, str], bytes] = OrderedDict()
        self._size_bytes = 0

    def line(self, parts: Parts, view: View, change: Change, event: str) -> bytes:
        """Return the line for a change."""
        key = (change.revision, event, view.target.version, view.form, view.include)
        line = self._lines.get(key)
        if line is None:
            line = watch_event(event, view.encoded(change.document, change.revision, parts.clock.now()))
            self._lines[key] = line
            self._size_bytes += len(line)
            while len(self._lines) > 1 and (len(self._lines) > CACHE_LINES or self._size_bytes > CACHE_BYTES):
                _, oldest = self._lines.popitem(last=False)
                self._size_bytes -= len(oldest)
        return line


class Watch:
    """One watcher's response; an ASGI app."""

    def __init__(self, parts: Parts, cache: EventCache, target: Target, form: Form, options: Options) -> None:
        self._parts = parts
        self._cache = cache
        self._view = view_of(parts, target, form, options)
        self._options = options
        self._selector = parse_selector(target.kind.resource, options.label_selector, options.field_selector)
        self._scope = target.namespace, target.name
        self._seen = 0
        self._matching: dict[Key, bool] = {}
        """Whether the watcher believes an object to be there; only kept when there is a selector."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the time limit, the caller's leaving, or the server's stop, whichever is first."""
        try:
            first = [*self._begin(), *await self._changes()]
        except SkepError as error:
            await reply_error(error, self._view.target.about)(scope, receive, send)
            return
        async with asyncio.TaskGroup() as group:
            pump = group.create_task(self._pump(send, first), name="watch")
            others = [group.create_task(self._left(receive)), group.create_task(self._stopping())]
            for task in others:
                task.add_done_callback(lambda _: pump.cancel())
            await asyncio.wait([pump])
            for task in others:
                task.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send, first: Sequence[bytes]) -> None:
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async with asyncio.timeout(min(self._options.timeout_s or MAX_WATCH_S, MAX_WATCH_S)):
                # An empty first part makes the headers leave at once: the caller knows that the watch stands.
                await send({"type": "http.response.body", "body": b"".join(first), "more_body": True})
                while True:
                    await self._write(send, await self._wait())
                    await self._write(send, await self._changes())
        except TimeoutError:
            return
        except SkepError as error:
            await self._write(send, [watch_event("ERROR", msgspec.json.encode(status_of(error)))])

    def _begin(self) -> list[bytes]:
        """Send what is there when the caller does not say since when; else note what it already knows."""
        entries, revision = self._parts.store.list(self._view.target.kind.resource, self._scope[0] or None)
        since = parse_revision(self._options.resource_version)
        if since > revision:
            raise Expired(f"revision {since} is not reached: the latest is {revision}; list again")
        initial = since == 0 or self._options.send_initial_events
        self._seen = revision if initial else since
        if not initial:
            self._know(entries, since)
            return []
        present = [entry for entry in select(self._view, entries, self._selector) if self._concerns(entry.key)]
        self._matching = {entry.key: True for entry in present} if not self._selector.is_empty else {}
        now = self._parts.clock.now()
        lines = [watch_event(_ADDED, self._view.encoded(e.document, e.revision, now)) for e in present]
        if self._options.send_initial_events and self._options.allow_bookmarks:
            lines.append(self._bookmark({"k8s.io/initial-events-end": "true"}))
        return lines

    def _know(self, entries: Iterable[Entry], since: int) -> None:
        """Remember which objects the caller believes to be there; those changed since are not known."""
        if self._selector.is_empty:
            return
        old = [entry for entry in entries if entry.revision <= since]
        matching = {entry.key for entry in select(self._view, old, self._selector)}
        self._matching = {entry.key: entry.key in matching for entry in old}

    async def _changes(self) -> list[bytes]:
        changes = await self._parts.store.changes_since(self._seen, self._view.target.kind.resource)
        latest = self._parts.store.revision.value
        lines = []
        for change in changes:
            event = self._event(change) if self._concerns(change.key) else ""
            if event:
                lines.append(self._cache.line(self._parts, self._view, change, event))
        self._seen = max(self._seen, latest, changes[-1].revision if changes else 0)
        return lines

    def _concerns(self, key: Key) -> bool:
        namespace, name = self._scope
        return namespace in ("", key.namespace) and name in ("", key.name)

    def _event(self, change: Change) -> str:
        """Name what a change means to this watcher; empty when nothing."""
        plain = _DELETED if change.deleted else _ADDED if change.created else _MODIFIED
        if self._selector.is_empty:
            return plain
        before = self._matching.get(change.key, None if not change.created else False)
        matches = self._selector.matches(self._view.document(change.document, change.revision))
        now = matches and not change.deleted
        self._matching[change.key] = now
        if now:
            return _ADDED if before is False else _MODIFIED
        if change.deleted:
            del self._matching[change.key]
        # Not known whether it matched before: a deletion too many is harmless, one too few is not.
        return "" if before is False or (before is None and change.deleted and not matches) else _DELETED

    async def _wait(self) -> list[bytes]:
        """Wait for a newer revision; return a bookmark when none comes for a while."""
        try:
            async with asyncio.timeout(BOOKMARK_S):
                async for revision in self._parts.store.revision.subscribe():
                    if revision > self._seen:
                        break
        except TimeoutError:
            return [self._bookmark({})] if self._options.allow_bookmarks else []
        return []

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        metadata = {"resourceVersion": str(self._seen), **({"annotations": annotations} if annotations else {})}
        target = self._view.target
        if self._view.form is Form.TABLE:
            empty = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
            rows = [{"cells": [None], "object": empty}]
            return watch_event("BOOKMARK", msgspec.json.encode(table(target.kind, rows, str(self._seen))))
        kind, version = target.kind.kind, target.api_version
        if self._view.form is Form.METADATA:
            kind, version = "PartialObjectMetadata", "meta.k8s.io/v1"
        return watch_event("BOOKMARK", msgspec.json.encode({"kind": kind, "apiVersion": version, "metadata": metadata}))

    async def _write(self, send: Send, lines: Sequence[bytes]) -> None:
        if lines:
            await send({"type": "http.response.body", "body": b"".join(lines), "more_body": True})

    async def _left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _stopping(self) -> None:
        async for stopping in self._parts.stopping.subscribe():
            if stopping:
                return
