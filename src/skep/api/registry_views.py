"""What the registry's API shows: one instance, the answer to a query, and a watch, as JSON.

In: the registry and what is asked for; out: bytes, a piece at a time, so that a long answer keeps no beat waiting.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

import msgspec

from skep.api.kube.selectors import parse_labels
from skep.errors import Invalid
from skep.model.instance import Instance, InstanceKey
from skep.registry.registration import parse_health, wire_document
from skep.registry.service import InstanceView, Registry, lease_document
from skep.watch import Cell

HEARTBEAT_S: Final = 10.0
"""A watch says at least this often that it is still there."""
STOP_S: Final = 1.0
"""A watch ends at most this long after the server begins to stop."""
_CHUNK: Final = 200


class Wanted:
    """What a query or a watch is narrowed to."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self.namespace = params.get("namespace")
        self.service = params.get("service")
        self._terms = parse_labels(params.get("labelSelector", ""))
        health = parse_health(params["health"], "health") if "health" in params else None
        if isinstance(health, list):
            raise Invalid(violations=health)
        self._health = health

    def selects(self, instance: Instance) -> bool:
        """Tell whether an instance is asked for."""
        return (
            self.namespace in (None, instance.namespace)
            and self.service in (None, instance.service)
            and self._health in (None, instance.health)
            and all(term.matches(instance.labels) for term in self._terms)
        )


async def render_query(registry: Registry, wanted: Wanted) -> AsyncIterator[bytes]:
    """Render a query's answer a piece at a time: ten thousand instances at once would keep every beat waiting."""
    found = registry.select(wanted.namespace, wanted.service, wanted.selects)
    yield b'{"revision":%d,"instances":[' % registry.revision.value
    separator = b""
    for start in range(0, len(found), _CHUNK):
        views = [registry.view(instance.key) for instance in found[start : start + _CHUNK]]
        shown = [msgspec.json.encode(instance_document(view)) for view in views if view is not None]
        if shown:
            yield separator + b",".join(shown)
            separator = b","
        await asyncio.sleep(0)
    yield b"]}"


async def render_watch(registry: Registry, wanted: Wanted, stopping: Cell[bool]) -> AsyncIterator[bytes]:
    """Yield the current instances, a bookmark, and then what changes, as JSON lines."""
    seen = registry.revision.value
    shown: set[InstanceKey] = set()
    changed: Sequence[InstanceKey] = [i.key for i in registry.select(where=wanted.selects)]
    while not stopping.value:
        for start in range(0, len(changed), _CHUNK):
            lines = [_event(registry, wanted, key, shown) for key in changed[start : start + _CHUNK]]
            yield b"".join(lines)
            await asyncio.sleep(0)
        yield _line({"type": "BOOKMARK", "revision": seen})
        await _newer(registry, seen, stopping)
        since = registry.changed_since(seen)
        if since is None:  # too far behind: look at all there is, and at all that was shown
            seen, changed = registry.revision.value, sorted(shown | registry.instances().keys())
        else:
            seen, changed = since[0], sorted(since[1])


def _event(registry: Registry, wanted: Wanted, key: InstanceKey, shown: set[InstanceKey]) -> bytes:
    """Render what became of one instance for a watcher who was shown some of them; empty when it is none of theirs."""
    view = registry.view(key)
    if view is None or not wanted.selects(view.instance):
        if key not in shown:
            return b""
        shown.discard(key)
        return _line({"type": "DELETED", "instance": names_document(key)})
    kind = "MODIFIED" if key in shown else "ADDED"
    shown.add(key)
    return _line({"type": kind, "instance": instance_document(view)})


async def _newer(registry: Registry, seen: int, stopping: Cell[bool]) -> None:
    """Wait until there is a revision after the one seen, or the next heartbeat is due, or the server stops."""
    for _ in range(int(HEARTBEAT_S / STOP_S)):
        revisions = cast("AsyncGenerator[int, None]", registry.revision.subscribe())
        try:
            async with asyncio.timeout(STOP_S), aclosing(revisions):
                async for revision in revisions:
                    if revision > seen:
                        return
        except TimeoutError:
            if stopping.value:
                return


def names_document(key: InstanceKey) -> dict[str, str]:
    """Render the names of an instance."""
    return {"namespace": key.namespace, "service": key.service, "id": key.id}


def instance_document(view: InstanceView) -> dict[str, Any]:
    """Render an instance with its lease."""
    return {**wire_document(view.instance), "lease": lease_document(view.lease)}


def _line(document: object) -> bytes:
    return msgspec.json.encode(document) + b"\n"
