"""The runner over a store in memory: Deployments become Pods, and statuses follow the pods."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from skep.clock import FakeClock, rfc3339
from skep.store.backend import Key
from skep.store.backends.memory import MemoryBackend
from skep.store.objects import create_object, decode, delete_object, update_object, update_status
from skep.store.store import Store
from skep.workloads.runner import LOST_AFTER_S, DeploymentRunner

WEB = Key("deployments.apps", "shop", "web")


class World:
    """A store, the runner, and pods that become ready when told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store(MemoryBackend())
        self.agents = ["here"]
        self.runner = DeploymentRunner(self.store, self.clock, lambda: self.agents)

    async def settle(self, *, ready: bool = True, check: Callable[[], None] = lambda: None) -> None:
        """Step until nothing changes; pods become ready one step after they were made."""
        for _ in range(200):
            before = self.store.revision.value
            await self.runner.step()
            check()
            if ready:
                for pod in self.pods():
                    await self.set_ready(pod, True)
            self.clock.advance(0.1)
            if self.store.revision.value == before:
                return
        raise AssertionError("never settles")

    async def set_ready(self, pod: dict[str, Any], ready: bool) -> None:
        word = "True" if ready else "False"
        conditions = (pod.get("status") or {}).get("conditions") or []
        if not any(one["type"] == "Ready" and one["status"] == word for one in conditions):
            condition = {"type": "Ready", "status": word, "lastTransitionTime": rfc3339(self.clock.now())}
            key = Key("pods", "shop", pod["metadata"]["name"])
            await update_status(self.store, key, {"phase": "Running", "conditions": [condition]})

    def pods(self) -> list[dict[str, Any]]:
        return [decode(entry) for entry in self.store.list("pods", "shop")[0]]

    def ready(self) -> int:
        return sum(
            any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])
            for pod in self.pods()
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = decode(self.store.get(WEB))["status"]
        return found

    def conditions(self) -> dict[str, tuple[str, str]]:
        return {one["type"]: (one["status"], one["reason"]) for one in self.status()["conditions"]}

    def events(self) -> list[str]:
        return [decode(entry)["message"] for entry in self.store.list("events", "shop")[0]]


@pytest.fixture
async def world(anyio_backend: str) -> World:
    made = World()
    await made.store.open()
    return made


def deployment(replicas: int = 3, version: str = "v1", **spec: Any) -> dict[str, Any]:
    container = {"name": "web", "command": ["serve", version]}
    template = {"metadata": {"labels": {"app": "web", "version": version}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


@pytest.mark.anyio
async def test_deployment_gets_its_pods_and_a_status(world: World) -> None:
    await create_object(world.store, WEB, deployment(), world.clock)
    await world.settle()
    pods = world.pods()
    assert len(pods) == 3
    pod = pods[0]
    assert pod["spec"]["nodeName"] == "here"
    assert pod["metadata"]["labels"]["app"] == "web"
    assert pod["metadata"]["ownerReferences"][0]["uid"] == decode(world.store.get(WEB))["metadata"]["uid"]
    status = world.status()
    assert {name: status[name] for name in status if name != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 0,
    }
    assert world.conditions() == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert world.events() == ["starting 3 replicas"]


@pytest.mark.anyio
async def test_scaling_keeps_the_ready_ones(world: World) -> None:
    await create_object(world.store, WEB, deployment(2), world.clock)
    await world.settle()
    first = {pod["metadata"]["name"] for pod in world.pods()}
    await update_object(world.store, WEB, deployment(4))
    await world.settle(ready=False)
    assert len(world.pods()) == 4
    assert world.conditions()["Progressing"] == ("True", "ReplicaSetUpdated")
    await update_object(world.store, WEB, deployment(2))
    await world.settle(ready=False)
    assert {pod["metadata"]["name"] for pod in world.pods()} == first
    await update_object(world.store, WEB, deployment(0))
    await world.settle()
    assert world.pods() == []


@pytest.mark.anyio
async def test_template_change_replaces_pods_without_losing_the_minimum(world: World) -> None:
    await create_object(world.store, WEB, deployment(4), world.clock)
    await world.settle()
    await update_object(world.store, WEB, deployment(4, "v2"))
    seen: list[tuple[int, int]] = []
    await world.settle(check=lambda: seen.append((world.ready(), len(world.pods()))))
    assert min(ready for ready, _ in seen) >= 3  # maxUnavailable 25 %
    assert max(total for _, total in seen) <= 5  # maxSurge 25 %
    assert {pod["metadata"]["labels"]["version"] for pod in world.pods()} == {"v2"}
    assert world.status()["observedGeneration"] == 2


@pytest.mark.anyio
async def test_broken_template_stops_the_update_and_is_said_after_the_deadline(world: World) -> None:
    await create_object(world.store, WEB, deployment(4), world.clock)
    await world.settle()
    await update_object(world.store, WEB, deployment(4, "v2", progressDeadlineSeconds=60))
    await world.settle(ready=False)
    assert world.ready() == 3
    assert len(world.pods()) == 5
    world.clock.advance(62)
    await world.settle(ready=False)
    assert world.conditions()["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert world.conditions()["Available"][0] == "True"
    await update_object(world.store, WEB, deployment(4))
    await world.settle()
    assert {pod["metadata"]["labels"]["version"] for pod in world.pods()} == {"v1"}


@pytest.mark.anyio
async def test_deleted_deployment_takes_its_pods_along_and_a_new_one_starts_afresh(world: World) -> None:
    await create_object(world.store, WEB, deployment(), world.clock)
    await world.settle()
    before = {pod["metadata"]["name"] for pod in world.pods()}
    await delete_object(world.store, WEB)
    await create_object(world.store, WEB, deployment(), world.clock)
    await world.settle()
    assert before.isdisjoint(pod["metadata"]["name"] for pod in world.pods())
    assert len(world.pods()) == 3
    await delete_object(world.store, WEB)
    await world.settle()
    assert world.pods() == []


@pytest.mark.anyio
async def test_a_restarted_runner_finds_orphans_and_changes_nothing_else(world: World) -> None:
    await create_object(world.store, WEB, deployment(), world.clock)
    await world.settle()
    before = world.store.revision.value
    world.runner = DeploymentRunner(world.store, world.clock, lambda: world.agents)
    await world.settle()
    assert world.store.revision.value == before
    await delete_object(world.store, WEB)
    world.runner = DeploymentRunner(world.store, world.clock, lambda: world.agents)
    await world.settle()
    assert world.pods() == []


@pytest.mark.anyio
async def test_image_without_command_is_said_and_nothing_is_started(world: World) -> None:
    document = deployment()
    document["spec"]["template"]["spec"]["containers"] = [
        {"name": "web", "image": "nginx", "resources": {"limits": {}}}
    ]
    await create_object(world.store, WEB, document, world.clock)
    await world.settle()
    assert world.pods() == []
    assert world.conditions()["ReplicaFailure"] == ("True", "NoCommand")
    assert world.conditions()["skep.dev/Honoured"] == ("False", "FieldsIgnored")
    assert "containers[0].resources" in str(world.status()["conditions"])


@pytest.mark.anyio
async def test_without_an_agent_pods_wait_and_pods_of_a_lost_one_are_replaced(world: World) -> None:
    world.agents = []
    await create_object(world.store, WEB, deployment(), world.clock)
    await world.settle()
    assert world.pods() == []
    assert "No agent is connected" in str(world.status()["conditions"])
    world.agents = ["here"]
    await world.settle()
    assert len(world.pods()) == 3
    world.agents = ["there"]
    await world.settle()
    assert {pod["spec"]["nodeName"] for pod in world.pods()} == {"here"}
    world.clock.advance(LOST_AFTER_S + 1)
    await world.settle()
    assert [pod["spec"]["nodeName"] for pod in world.pods()] == ["there"] * 3


@pytest.mark.anyio
async def test_min_ready_seconds_delay_availability(world: World) -> None:
    await create_object(world.store, WEB, deployment(1, minReadySeconds=30), world.clock)
    await world.settle()
    assert world.status()["readyReplicas"] == 1
    assert world.status()["availableReplicas"] == 0
    world.clock.advance(31)
    await world.settle()
    assert world.status()["availableReplicas"] == 1


@pytest.mark.anyio
async def test_one_bad_deployment_does_not_stop_the_others(world: World) -> None:
    bad = deployment()
    bad["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": "a lot"}}
    await create_object(world.store, Key("deployments.apps", "shop", "bad"), bad, world.clock)
    await create_object(world.store, WEB, deployment(), world.clock)
    await world.settle()
    assert len(world.pods()) == 3


@pytest.mark.anyio
async def test_old_events_are_forgotten_and_recent_ones_kept(world: World) -> None:
    await create_object(world.store, WEB, deployment(1), world.clock)
    await world.settle()
    world.clock.advance(50 * 60)
    await update_object(world.store, WEB, deployment(3))
    await world.settle()
    assert len(world.events()) == 2
    world.clock.advance(20 * 60)
    await world.settle()
    assert world.events() == ["starting 2 replicas"]


@pytest.mark.anyio
async def test_the_running_task_follows_the_store(world: World) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(world.runner.run())
        await create_object(world.store, WEB, deployment(2), world.clock)
        async for _ in world.store.revision.subscribe():
            if len(world.pods()) == 2:
                break
        task.cancel()
