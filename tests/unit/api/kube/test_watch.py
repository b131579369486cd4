"""Watches: order, selectors, bookmarks, expiry, and that they end when the server stops."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from skep.api.kube.options import Options
from skep.api.kube.table import Form
from skep.api.kube.target import parse_target
from skep.api.kube.watch import CACHE_BYTES, EventCache, Watch
from skep.store.backend import Key
from skep.store.objects import create_object, delete_object, update_object
from tests.support.local_api import LocalApi, config_map, local_api

LIMIT_S = 60


class Watcher:
    """Runs a watch as a server would and collects its events."""

    def __init__(
        self, api: LocalApi, form: Form = Form.OBJECT, cache: EventCache | None = None, **options: Any
    ) -> None:
        target = parse_target("", "v1", "namespaces/default/configmaps")
        assert target is not None
        self.events: list[dict[str, Any]] = []
        self.status = 0
        self.closed = False
        self.left = asyncio.Event()
        self._arrived = asyncio.Event()
        self._app = Watch(api.parts, cache or EventCache(), target, form, Options(watch=True, **options))

    async def serve(self) -> None:
        await self._app({"type": "http"}, self._receive, self._send)

    async def until(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(LIMIT_S):
            while len(self.events) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.events

    async def _receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.events += [json.loads(line) for line in message["body"].splitlines()]
        self.closed = not message.get("more_body", False)
        self._arrived.set()


@pytest.fixture
def api() -> Iterator[LocalApi]:
    with local_api() as opened:
        yield opened


def watching(
    api: LocalApi, work: Callable[[Watcher], Awaitable[None]], watcher: Callable[[], Watcher]
) -> list[dict[str, Any]]:
    """Run a watch beside some work, then let the caller leave."""

    async def run() -> list[dict[str, Any]]:
        started = watcher()
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            serving = group.create_task(started.serve())
            await work(started)
            started.left.set()
            await serving
        assert started.closed
        return started.events

    return api.run(run())


async def put(api: LocalApi, name: str, value: str = "b", **metadata: Any) -> None:
    document = config_map(name, **metadata)
    document["data"]["a"] = value
    key = Key("configmaps", "default", name)
    if api.parts.store.find(key) is None:
        await create_object(api.parts.store, key, document, api.parts.clock)
    else:
        await update_object(api.parts.store, key, document)


async def drop(api: LocalApi, name: str) -> None:
    await delete_object(api.parts.store, Key("configmaps", "default", name))


def summary(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


def test_changes_since_a_revision_come_in_order_with_their_revisions(api: LocalApi) -> None:
    api.run(put(api, "before"))
    since = api.revision

    async def work(watcher: Watcher) -> None:
        await put(api, "one")
        await put(api, "one", "c")
        await drop(api, "one")
        await watcher.until(3)

    events = watching(api, work, lambda: Watcher(api, resource_version=str(since)))
    assert summary(events) == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert revisions == [since + 1, since + 2, since + 3]


def test_watch_without_revision_begins_with_what_is_there(api: LocalApi) -> None:
    api.run(put(api, "one"))

    async def work(watcher: Watcher) -> None:
        await watcher.until(1)
        await put(api, "two")
        await watcher.until(2)

    assert summary(watching(api, work, lambda: Watcher(api))) == [("ADDED", "one"), ("ADDED", "two")]


def test_initial_events_end_with_a_marked_bookmark(api: LocalApi) -> None:
    api.run(put(api, "one"))

    async def work(watcher: Watcher) -> None:
        await watcher.until(2)

    events = watching(api, work, lambda: Watcher(api, send_initial_events=True, allow_bookmarks=True))
    assert events[1]["type"] == "BOOKMARK"
    assert events[1]["object"]["kind"] == "ConfigMap"
    assert events[1]["object"]["metadata"] == {
        "resourceVersion": str(api.revision),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }


def test_object_that_stops_matching_is_deleted_for_the_watcher(api: LocalApi) -> None:
    api.run(put(api, "one", labels={"a": "x"}))
    api.run(put(api, "two"))
    since = api.revision

    async def work(watcher: Watcher) -> None:
        await put(api, "one", labels={"a": "y"})
        await put(api, "one", "again", labels={"a": "y"})
        await put(api, "two", labels={"a": "x"})
        await put(api, "three")
        await drop(api, "three")
        await drop(api, "two")
        await watcher.until(3)

    events = watching(api, work, lambda: Watcher(api, resource_version=str(since), label_selector="a=x"))
    assert summary(events) == [("DELETED", "one"), ("ADDED", "two"), ("DELETED", "two")]


def test_revision_that_is_compacted_or_not_reached_is_told_as_expired(api: LocalApi) -> None:
    for number in range(3):
        api.run(put(api, f"c{number}"))
    api.run(api.parts.store.compact(api.revision - 1))

    async def answer(revision: int) -> tuple[int, str]:
        watcher = Watcher(api, resource_version=str(revision))
        await watcher.serve()
        return watcher.status, watcher.events[0]["reason"]

    assert api.run(answer(1)) == (410, "Expired")
    assert api.run(answer(api.revision + 5)) == (410, "Expired")


def test_stop_of_the_server_ends_the_watch(api: LocalApi) -> None:
    async def run() -> None:
        watcher = Watcher(api, resource_version=str(api.revision))
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            group.create_task(watcher.serve())
            api.parts.stopping.set(True)
        assert watcher.closed
        assert watcher.events == []

    api.run(run())


def test_time_limit_of_the_caller_ends_the_watch(api: LocalApi) -> None:
    response = api.call("GET", f"/api/v1/configmaps?watch=true&timeoutSeconds=1&resourceVersion={api.revision}")
    assert (response.status_code, response.text) == (200, "")


def test_thousand_watchers_share_one_encoding(api: LocalApi) -> None:
    cache = EventCache()
    since = str(api.revision)

    async def run() -> None:
        watchers = [Watcher(api, cache=cache, resource_version=since) for _ in range(1000)]
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for watcher in watchers:
                group.create_task(watcher.serve())
            await put(api, "one")
            for watcher in watchers:
                await watcher.until(1)
                watcher.left.set()
        assert all(summary(watcher.events) == [("ADDED", "one")] for watcher in watchers)

    api.run(run())
    assert len(cache._lines) == 1


def test_watch_as_table_has_a_row_for_each_change(api: LocalApi) -> None:
    async def work(watcher: Watcher) -> None:
        await put(api, "one")
        await watcher.until(1)

    (event,) = watching(api, work, lambda: Watcher(api, Form.TABLE, resource_version=str(api.revision)))
    assert event["object"]["kind"] == "Table"
    assert event["object"]["rows"][0]["cells"][:2] == ["one", 1]


def test_cache_of_lines_stays_within_its_size(api: LocalApi) -> None:
    cache = EventCache()

    async def work(watcher: Watcher) -> None:
        for number in range(12):
            await put(api, f"big{number}", "x" * 900_000)
        await watcher.until(12)

    watching(api, work, lambda: Watcher(api, cache=cache, resource_version=str(api.revision)))
    assert 1 < len(cache._lines) < 12
    assert sum(len(line) for line in cache._lines.values()) == cache._size_bytes <= CACHE_BYTES
