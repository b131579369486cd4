"""Gateways of this fleet of one host: an Envoy for each Gateway of our class. In: objects, followed; out: Envoys.

While the control plane is away nothing changes. A Gateway that was accepted once keeps its Envoy through later mistakes.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

from skep.agent.envoys import Envoys
from skep.agent.epochs import proxy_name
from skep.clients.api import ApiClient, resource_path
from skep.model.names import GATEWAY_GROUP, Namespace
from skep.model.node import GatewayNode
from skep.routing.defaults import CONTROLLER

log = logging.getLogger(__name__)

Objects = Mapping[tuple[str, str], Mapping[str, Any]]


class Gateways:
    """Keeps one Envoy for each Gateway."""

    def __init__(self, envoys: Envoys, api: ApiClient) -> None:
        self._envoys = envoys
        self._api = api
        self._classes: Objects | None = None
        self._gateways: Objects | None = None
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Follow the objects until cancelled."""
        self._classes = self._gateways = None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_classes())
            group.create_task(self._follow_gateways())

    async def _follow_classes(self) -> None:
        async for objects in self._api.follow(resource_path(f"{GATEWAY_GROUP}/v1", "gatewayclasses")):
            self._classes = objects
            await self._reconcile()

    async def _follow_gateways(self) -> None:
        async for objects in self._api.follow(resource_path(f"{GATEWAY_GROUP}/v1", "gateways")):
            self._gateways = objects
            await self._reconcile()

    async def _reconcile(self) -> None:
        async with self._lock:
            if self._classes is None or self._gateways is None:
                return
            running = {envoy.record.node for envoy in self._envoys.list() if isinstance(envoy.record.node, GatewayNode)}
            wanted = wanted_gateways(self._gateways, self._classes, running)
            for node in sorted(wanted - running, key=proxy_name):
                log.info("starting the Envoy of Gateway %s/%s", node.namespace, node.name)
                await self._envoys.ensure(node)
            for node in sorted(running - wanted, key=proxy_name):
                log.info("stopping the Envoy of Gateway %s/%s", node.namespace, node.name)
                await self._envoys.remove(proxy_name(node))


def wanted_gateways(gateways: Objects, classes: Objects, running: Collection[GatewayNode]) -> set[GatewayNode]:
    """Choose the Gateways to carry: of our classes, and accepted now or carried already."""
    ours = {name for (_, name), each in classes.items() if each["spec"]["controllerName"] == CONTROLLER}
    wanted = set()
    for (namespace, name), gateway in gateways.items():
        node = GatewayNode(Namespace(namespace), name)
        if gateway["spec"]["gatewayClassName"] in ours and (_is_accepted(gateway) or node in running):
            wanted.add(node)
    return wanted


def _is_accepted(gateway: Mapping[str, Any]) -> bool:
    conditions = gateway.get("status", {}).get("conditions", ())
    return any(each.get("type") == "Accepted" and each.get("status") == "True" for each in conditions)
