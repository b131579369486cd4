"""How much each service and gateway of this host is asked, and how it fares. In: what local Envoys count; out: rates.

It asks Envoys only while somebody asks it: the first answer takes a second, because a rate needs two readings.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from skep.agent.admin import Admin
from skep.agent.envoys import Envoys
from skep.agent.stats import Reading, add, compare, parse_stats, quantile, stats_path
from skep.clients.agent import Traffic
from skep.clock import Clock
from skep.errors import Unavailable
from skep.model.instance import Health, InstanceKey
from skep.model.node import Node, SidecarNode

log = logging.getLogger(__name__)

WINDOW_S = 5.0
_SHORTEST_S = 1.0
_AT_ONCE = 8


class _Moment(msgspec.Struct, frozen=True):
    at_s: float
    readings: Mapping[str, Reading]


class TrafficMeter:
    """Reads and remembers the counts of the last seconds."""

    def __init__(
        self, envoys: Envoys, admin: Admin, clock: Clock, health_of: Callable[[InstanceKey], Health | None]
    ) -> None:
        self._envoys = envoys
        self._admin = admin
        self._clock = clock
        self._health_of = health_of
        self._moments: deque[_Moment] = deque(maxlen=64)
        self._lock = asyncio.Lock()

    async def read(self) -> Sequence[Traffic]:
        """Return the traffic of the last seconds by service and gateway, sorted."""
        async with self._lock:
            newest = await self._read_all()
            older = self._older_than(newest)
            if older is None:
                newest = await self._read_all()  # the latencies an Envoy shows are those of the question before
                self._moments.append(newest)
                await asyncio.sleep(_SHORTEST_S)
                older, newest = newest, await self._read_all()
            self._moments.append(newest)
        return self._compare(older, newest)

    def _older_than(self, newest: _Moment) -> _Moment | None:
        """Choose what to compare with: the oldest of the window, or the last before it if that is not long ago."""
        while len(self._moments) > 1 and newest.at_s - self._moments[1].at_s >= WINDOW_S:
            self._moments.popleft()
        if self._moments and newest.at_s - self._moments[0].at_s > 3 * WINDOW_S:
            self._moments.clear()
        if self._moments and newest.at_s - self._moments[0].at_s >= _SHORTEST_S / 2:
            return self._moments[0]
        return None

    async def _read_all(self) -> _Moment:
        readings: dict[str, Reading] = {}
        limit = asyncio.Semaphore(_AT_ONCE)

        async def read(name: str, node: Node) -> None:
            side = "inbound" if isinstance(node, SidecarNode) else "gateway"
            try:
                async with limit:
                    answer = await self._admin.text(self._envoys.get(name).record.admin, stats_path(side))
                readings[name] = parse_stats(side, answer)
            except (Unavailable, msgspec.DecodeError) as error:
                log.debug("%s: no counts: %s", name, error)

        async with asyncio.TaskGroup() as group:
            for envoy in self._envoys.list():
                group.create_task(read(envoy.record.name, envoy.record.node))
        return _Moment(self._clock.monotonic(), readings)

    def _compare(self, older: _Moment, newer: _Moment) -> Sequence[Traffic]:
        grouped: dict[tuple[str, str, str], list[str]] = {}
        nodes: dict[str, Node] = {envoy.record.name: envoy.record.node for envoy in self._envoys.list()}
        for name, node in nodes.items():
            grouped.setdefault(_group(node), []).append(name)
        rows = []
        window_s = newer.at_s - older.at_s
        for (kind, namespace, title), names in sorted(grouped.items()):
            rates = add(compare(older.readings.get(n), newer.readings[n]) for n in names if n in newer.readings)
            total = sum(newer.readings[n].requests for n in names if n in newer.readings)
            passing = sum(self._is_passing(nodes[n]) for n in names)
            row = Traffic(
                namespace=namespace,
                name=title,
                kind="gateway" if kind == "gateway" else "service",
                instances=len(names),
                passing=passing,
                requests_total=total,
                requests_per_s=rates.requests / window_s,
                success_ratio=1 - rates.server_errors / rates.requests if rates.requests else None,
                p50_ms=quantile(rates.latency_ms, 0.5),
                p99_ms=quantile(rates.latency_ms, 0.99),
                window_s=window_s,
            )
            rows.append(row)
        return rows

    def _is_passing(self, node: Node) -> bool:
        if not isinstance(node, SidecarNode):
            return True
        return self._health_of(InstanceKey(node.namespace, node.service, node.instance)) is Health.PASSING


def _group(node: Node) -> tuple[str, str, str]:
    if isinstance(node, SidecarNode):
        return ("service", node.namespace, node.service)
    return ("gateway", node.namespace, node.name)
