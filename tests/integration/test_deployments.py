"""Deployments on the whole platform: a control plane, an agent, real Envoys, real replicas."""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from skep.clients.api import ApiClient
from tests.support.platform import Platform, end
from tests.support.pods import APP
from tests.support.steady_load import steady_load

COLLECTION = "/apis/apps/v1/namespaces/default/deployments"
WEB = f"{COLLECTION}/web"
PODS = "/api/v1/namespaces/default/pods"


def deployment(switches: Path, replicas: int, version: str) -> dict[str, Any]:
    container = {
        "name": "web",
        "image": "web:1",
        "command": [sys.executable, str(APP), version],
        "env": [{"name": "SWITCHES", "value": str(switches)}],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1},
        "resources": {"limits": {"cpu": "1"}},
    }
    template = {"metadata": {"labels": {"app": "web", "version": version}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


async def rolled_out(api: ApiClient, replicas: int) -> dict[str, Any]:
    """Wait as `kubectl rollout status` does."""

    def done(document: dict[str, Any]) -> bool:
        status = document.get("status") or {}
        counts = {status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")}
        return status.get("observedGeneration") == document["metadata"]["generation"] and counts == {replicas}

    return await wait_for(api, WEB, done)


async def wait_for(api: ApiClient, path: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            document = await api.get(path)
            if holds(document):
                return document
            await asyncio.sleep(0.05)


async def containers(api: ApiClient) -> dict[str, tuple[str, int]]:
    """Process and restart count by pod."""
    items = (await api.get(PODS))["items"]
    statuses = {item["metadata"]["name"]: item["status"]["containerStatuses"][0] for item in items}
    return {name: (one["containerID"], one["restartCount"]) for name, one in statuses.items()}


async def answers(port: int) -> None:
    """Wait until the gateway knows the route."""
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(f"http://127.0.0.1:{port}/x")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def instances(api: ApiClient) -> dict[str, str]:
    found = (await api.get("/registry/v1/instances", namespace="default"))["instances"]
    return {one["labels"]["version"]: one["health"] for one in found}


@pytest.mark.anyio
async def test_deployment_is_scaled_updated_and_deleted(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform, platform.api() as api:
        await api.create(COLLECTION, deployment(tmp_path, 2, "v1"))
        status = (await rolled_out(api, 2))["status"]
        conditions = {one["type"]: one for one in status["conditions"]}
        assert conditions["Available"]["status"] == "True"
        assert "resources" in conditions["skep.dev/Honoured"]["message"]
        assert await instances(api) == {"v1": "passing"}
        await api.patch(WEB, {"spec": {"replicas": 3}})
        await rolled_out(api, 3)
        before = set(await containers(api))
        await api.patch(WEB, {"spec": deployment(tmp_path, 1, "v2")["spec"]})
        await rolled_out(api, 1)
        assert before.isdisjoint(await containers(api))
        await api.delete(WEB)
        await wait_for(api, PODS, lambda pods: not pods["items"])
        await wait_for(api, "/registry/v1/instances?namespace=default", lambda found: not found["instances"])


@pytest.mark.anyio
async def test_no_request_fails_while_replicas_come_and_go(tmp_path: Path) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web"},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
    }
    async with Platform(tmp_path) as platform, platform.api() as api:
        await api.create(COLLECTION, deployment(tmp_path, 2, "v1"))
        await api.create("/api/v1/namespaces/default/services", service)
        await api.create("/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes", route)
        await rolled_out(api, 2)
        await answers(platform.gateway_port)
        async with steady_load(platform.gateway_port, connections=4, target="/x", pause_s=0.02) as load:
            await load.more(20)
            await api.patch(WEB, {"spec": deployment(tmp_path, 2, "v2")["spec"]})
            await rolled_out(api, 2)
            await api.patch(WEB, {"spec": {"replicas": 4}})
            await rolled_out(api, 4)
            await load.more(20)
            await api.patch(WEB, {"spec": {"replicas": 1}})
            await rolled_out(api, 1)
            await wait_for(api, "/registry/v1/instances?namespace=default", lambda found: len(found["instances"]) == 1)
            await load.more(50)
        assert not load.failures


@pytest.mark.anyio
async def test_replicas_outlive_the_agent_and_the_control_plane(tmp_path: Path) -> None:
    async with Platform(tmp_path) as platform:
        async with platform.api() as api:
            await api.create(COLLECTION, deployment(tmp_path, 2, "v1"))
            await rolled_out(api, 2)
            before = await containers(api)
            for process in (platform.agent, platform.server):
                assert process is not None
                process.kill()
                await asyncio.to_thread(end, process)
        platform.start_agent()  # alone: the control plane is away
        platform.start_server()
        await platform.until_ready()
        async with platform.api() as api:
            await rolled_out(api, 2)
            assert await containers(api) == before
            await api.patch(WEB, {"spec": {"replicas": 1}})
            await rolled_out(api, 1)
            assert set((await containers(api)).items()) < set(before.items())
