"""The client against the real HTTP face: objects, tables, watches, and what it makes of a server that goes away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from skep.clients.api import ApiClient, RegistryClient, resource_path
from skep.errors import Conflict, Invalid, NotFound, Unavailable
from tests.support.api_server import ApiServer, running_api
from tests.support.control_plane import ControlPlane, free_ports

MAPS = resource_path("v1", "configmaps", "default")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api(tmp_path_factory.mktemp("client")) as running:
        yield running


@pytest.fixture
async def api(server: ApiServer) -> AsyncIterator[ApiClient]:
    async with ApiClient(server.url, server.admin_token) as client:
        yield client
        for item in (await client.list(MAPS))["items"]:
            await client.delete(f"{MAPS}/{item['metadata']['name']}")


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.mark.anyio
async def test_object_from_creation_to_deletion(api: ApiClient) -> None:
    created = await api.create(MAPS, config_map("a", colour="red"))
    path = f"{MAPS}/a"
    assert (await api.get(path))["data"] == {"colour": "red"}
    assert (await api.update(path, created | {"data": {"colour": "blue"}}))["data"] == {"colour": "blue"}
    with pytest.raises(Conflict):
        await api.update(path, created)
    for kind, patch in (("merge", {"data": {"a": "1"}}), ("strategic", {"data": {"b": "2"}})):
        await api.patch(path, patch, kind)  # type: ignore[arg-type]
    await api.patch(path, [{"op": "remove", "path": "/data/colour"}], "json")
    assert [i["data"] for i in (await api.list(MAPS))["items"]] == [{"a": "1", "b": "2"}]
    assert (await api.table(MAPS))["kind"] == "Table"
    await api.delete(path)
    with pytest.raises(NotFound, match="a"):
        await api.get(path)


@pytest.mark.anyio
async def test_server_s_violations_reach_the_caller(api: ApiClient) -> None:
    with pytest.raises(Invalid) as refused:
        await api.create(MAPS, config_map("a") | {"data": {"x": 1}})
    assert any("data" in violation.path for violation in refused.value.violations), refused.value


@pytest.mark.anyio
async def test_watch_yields_events_from_a_revision(api: ApiClient) -> None:
    revision = (await api.list(MAPS))["metadata"]["resourceVersion"]
    await api.create(MAPS, config_map("a", text="line\u2028separator"))
    await api.delete(f"{MAPS}/a")
    async with asyncio.timeout(10):
        seen = []
        async for event in api.watch(MAPS, resourceVersion=revision):
            seen.append((event.type, event.object["data"]["text"]))
            if len(seen) == 2:
                break
    assert seen == [("ADDED", "line\u2028separator"), ("DELETED", "line\u2028separator")]


@pytest.mark.anyio
async def test_follow_survives_a_crash_of_the_server_and_misses_nothing(tmp_path: Path) -> None:
    control_plane = ControlPlane(tmp_path / "data")
    control_plane.start()
    try:
        async with ApiClient(control_plane.url, control_plane.token("admin")) as api, asyncio.timeout(60):
            states = api.follow(MAPS)
            assert {name for _, name in await anext(states)} == set()
            await api.create(MAPS, config_map("before"))
            assert {name for _, name in await anext(states)} == {"before"}
            control_plane.kill()
            with pytest.raises(Unavailable, match="no server answers there"):
                await api.version()
            assert not await api.is_ready()
            control_plane.start()
            assert await api.is_ready()
            await api.create(MAPS, config_map("after"))
            await api.delete(f"{MAPS}/before")
            async for state in states:
                if {name for _, name in state} == {"after"}:
                    break
    finally:
        control_plane.kill()


@pytest.mark.anyio
async def test_nobody_listening_is_said_with_what_to_do() -> None:
    (port,) = free_ports(1)
    async with ApiClient(f"http://127.0.0.1:{port}") as api:
        with pytest.raises(Unavailable, match=r"no server answers there .*; is `skep up` running\?"):
            await RegistryClient(api).query()
