"""Instances of `skep run` on a whole platform: start them, call them, and look at what the registry and proxies hold."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from skep.clients.agent import (
    ListProcesses,
    ListProxies,
    LocalProcess,
    Open,
    Opened,
    Proxy,
    connected,
)
from skep.model.names import InstanceId, Namespace, ServiceName
from tests.support.platform import Platform

APP = (sys.executable, "-m", "tests.support.named_app")


async def instances(platform: Platform, service: str) -> dict[str, str]:
    """Health of each registered instance."""
    async with platform.api() as api:
        found = await api.get("/registry/v1/instances", service=service)
    return {each["id"]: each["health"] for each in found["instances"]}


async def until_instances(platform: Platform, service: str, wanted: dict[str, str], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while await instances(platform, service) != wanted:  # noqa: ASYNC110  a deadline is set
            await asyncio.sleep(0.05)


@asynccontextmanager
async def caller(platform: Platform) -> AsyncIterator[int]:
    """The outbound port of an instance that only calls."""
    async with connected(platform.data_dir) as agent:
        yield (await agent.call(open_request("caller", "caller-1"), Opened)).outbound.port


def open_request(service: str, name: str) -> Open:
    return Open(namespace=Namespace("default"), service=ServiceName(service), id=InstanceId(name))


async def start_orders(platform: Platform, *names: str) -> list["subprocess.Popen[bytes]"]:
    runs = [platform.run(*APP, name, service="orders", id=name, log=name) for name in names]
    await until_instances(platform, "orders", dict.fromkeys(names, "passing"))
    return runs


async def get(port: int, host: str, path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}{path}", headers={"host": host})


async def envoy_pid(platform: Platform, title: str) -> int:
    async with connected(platform.data_dir) as agent:
        return next(each.pid for each in await agent.call(ListProcesses(), list[LocalProcess]) if title in each.name)


async def endpoints(platform: Platform, title: str, service: str) -> dict[str, str]:
    """Address and health of each endpoint of a service that a proxy holds."""
    async with connected(platform.data_dir) as agent:
        proxies = await agent.call(ListProxies(), list[Proxy])
    admin = next(each.admin for each in proxies if each.title == title)
    async with httpx.AsyncClient(trust_env=False) as http:
        clusters = (await http.get(f"http://{admin}/clusters?format=json")).json()["cluster_statuses"]
    found: dict[str, str] = {}
    for cluster in clusters:
        if cluster["name"].startswith(f"default/{service}:"):
            for host in cluster.get("host_statuses", ()):
                address: dict[str, Any] = host["address"]["socket_address"]
                found[f"{address['address']}:{address['port_value']}"] = host["health_status"]["eds_health_status"]
    return found


async def platform_gateway_is_up(platform: Platform) -> int:
    async with asyncio.timeout(60):
        while True:
            try:
                return (await get(platform.gateway_port, "nobody")).status_code
            except httpx.TransportError:
                await asyncio.sleep(0.05)
