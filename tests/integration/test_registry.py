"""The registry over real HTTP, and over crashes of the control plane."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from skep.clients.api import ApiClient, RegistryClient, instance_path
from skep.errors import Denied, Invalid, NotFound, Unauthenticated
from tests.support.api_server import ApiServer, running_api
from tests.support.control_plane import ControlPlane


def registration(number: int, **more: Any) -> dict[str, Any]:
    names = {"namespace": "default", "service": f"orders-{number % 7}", "id": f"i{number}"}
    return {**names, "address": "10.0.0.7", "port": 9000, **more}


def names(number: int) -> dict[str, str]:
    return {"namespace": "default", "service": f"orders-{number % 7}", "id": f"i{number}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def api(server: ApiServer) -> AsyncIterator[ApiClient]:
    async with ApiClient(server.url, server.agent_token) as client:
        yield client
        shown = (await RegistryClient(client).query())["instances"]
        await RegistryClient(client).deregister([{n: i[n] for n in ("namespace", "service", "id")} for i in shown])


@pytest.mark.anyio
async def test_one_instance_from_registration_to_deregistration(api: ApiClient) -> None:
    path = instance_path("default", "orders", "a")
    body = {"address": "10.0.0.7", "port": 9000, "labels": {"version": "v2"}, "leaseSeconds": 30, "source": "agent/h1"}
    created = await api.send("PUT", path, body)
    assert created.status_code == 201
    assert (await api.send("PUT", path, body | {"port": 9001})).status_code == 200
    assert (await api.send("PUT", f"{path}/lease")).status_code == 204
    assert (await api.send("PUT", f"{path}/lease", {"health": "failing"})).status_code == 204
    shown = await api.get(path)
    assert (shown["port"], shown["health"], shown["labels"]["version"]) == (9001, "failing", "v2")
    assert shown["lease"]["heardBy"] == "agent/h1"
    assert shown["lease"]["lastHeard"] < shown["lease"]["expires"]
    assert (await api.send("DELETE", path)).status_code == 204
    for method, lost in (("GET", path), ("DELETE", path), ("PUT", f"{path}/lease")):
        with pytest.raises(NotFound, match="default/orders/a is not registered"):
            await api.send(method, lost)


@pytest.mark.anyio
async def test_kubectl_sees_the_instance_with_its_lease_and_cannot_write_it(server: ApiServer, api: ApiClient) -> None:
    await RegistryClient(api).register([registration(1, source="agent/h1")])
    path = "/apis/skep.dev/v1alpha1/namespaces/default/instances/orders-1.i1"
    async with ApiClient(server.url, server.admin_token) as admin:
        seen = await admin.get(path)
        assert seen["spec"]["port"] == 9000
        assert seen["status"]["health"] == "passing"
        assert seen["status"]["lease"]["heardBy"] == "agent/h1"
        with pytest.raises(Denied, match="read-only"):
            await admin.delete(path)


@pytest.mark.anyio
async def test_bad_one_in_a_batch_is_named_and_nothing_is_registered(api: ApiClient) -> None:
    batch = [registration(n) for n in range(3)] + [registration(3, port=0, colour="red")]
    with pytest.raises(Invalid) as refused:
        await RegistryClient(api).register(batch)
    assert [v.path for v in refused.value.violations] == ["instances[3].colour", "instances[3].port"]
    with pytest.raises(Invalid) as refused:
        await api.send("POST", "/registry/v1/leases", {"instances": [names(0), {"namespace": "x", "health": "ill"}]})
    paths = [v.path for v in refused.value.violations]
    assert paths == ["instances[1].service", "instances[1].id", "instances[1].health"]
    with pytest.raises(Invalid) as refused:
        await RegistryClient(api).renew([names(0)], source="x" * 300)
    assert [v.path for v in refused.value.violations] == ["source"]
    assert (await RegistryClient(api).query())["instances"] == []


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"instances": 1}', b"\xff", b"[" * 5000])
@pytest.mark.parametrize("path", ["instances", "leases", "deregistrations"])
async def test_malformed_body_is_refused_with_a_4xx(api: ApiClient, path: str, body: bytes) -> None:
    answer = await api._http.post(f"/registry/v1/{path}", content=body)
    assert 400 <= answer.status_code < 500
    assert answer.json()["kind"] == "Status"


@pytest.mark.anyio
async def test_without_a_token_not_even_a_beat_is_taken(server: ApiServer, api: ApiClient) -> None:
    await RegistryClient(api).register([registration(1)])
    for token in ("", "wrong"):
        async with ApiClient(server.url, token) as stranger:
            with pytest.raises(Unauthenticated):
                await stranger.send("PUT", f"{instance_path('default', 'orders-1', 'i1')}/lease")


@pytest.mark.anyio
async def test_query_is_narrowed_by_label_health_and_name(api: ApiClient) -> None:
    registry = RegistryClient(api)
    await registry.register(
        [registration(n, labels={"version": f"v{n % 2}"}, health="starting" if n < 2 else "passing") for n in range(14)]
    )

    async def found(**params: Any) -> int:
        return len((await registry.query(**params))["instances"])

    assert await found() == 14
    assert await found(namespace="default", service="orders-3") == 2
    assert await found(labelSelector="version=v1,skep.dev/service in (orders-1,orders-3)") == 2
    assert await found(health="starting") == 2
    assert await found(namespace="other") == 0
    with pytest.raises(Invalid, match="health"):
        await found(health="fine")
    with pytest.raises(Invalid, match="labelSelector"):
        await found(labelSelector="a=(")


@pytest.mark.anyio
async def test_watch_shows_what_is_and_then_what_changes(api: ApiClient) -> None:
    registry = RegistryClient(api)
    await registry.register([registration(1), registration(8), registration(2)])
    seen: list[tuple[str, str]] = []
    async with asyncio.timeout(60):
        async for event in registry.watch(service="orders-1", health="passing"):
            seen.append((event["type"], event.get("instance", {}).get("id", "")))
            match len(seen):
                case 3:  # both are shown, and a bookmark says so
                    await registry.report_health("default", "orders-1", "i1", "failing")
                case 5:
                    await registry.report_health("default", "orders-1", "i1", "passing")
                case 7:
                    await registry.register([registration(8, port=9001), registration(2, port=9001)])
                case 9:
                    break
    assert [e for e in seen if e[0] != "BOOKMARK"] == [
        ("ADDED", "i1"), ("ADDED", "i8"), ("DELETED", "i1"), ("ADDED", "i1"), ("MODIFIED", "i8"),
    ]  # fmt: skip


@pytest.mark.anyio
async def test_batch_of_250_beats_costs_a_tenth_of_250_single_ones(api: ApiClient) -> None:
    registry = RegistryClient(api)
    await registry.register([registration(n) for n in range(250)])
    beats = [names(n) for n in range(250)]
    times: dict[int, list[float]] = {1: [], 250: []}
    for _ in range(10):  # by turns, so that what else the machine does weighs on both
        for size, taken in times.items():
            began = time.perf_counter()
            assert await registry.renew(beats[:size]) == []
            taken.append(time.perf_counter() - began)
    assert min(times[250]) < 25 * min(times[1])
    assert await registry.renew([*beats, names(999)]) == [names(999)]


@pytest.mark.anyio
async def test_silent_instance_is_gone_after_its_lease_and_not_before(tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "data") as control_plane:
        async with ApiClient(control_plane.url, control_plane.token("agent")) as api, asyncio.timeout(60):
            registry = RegistryClient(api)
            await registry.register([registration(1, leaseSeconds=60), registration(8, leaseSeconds=2)])
            silent_since = time.perf_counter()
            async for event in registry.watch():
                if event["type"] == "DELETED":
                    break
            assert event["instance"]["id"] == "i8"
            assert 1.9 < time.perf_counter() - silent_since < 15, "the others' leases are 60 s"
            assert [i["id"] for i in (await registry.query())["instances"]] == ["i1"]


@pytest.mark.anyio
async def test_killed_control_plane_forgets_no_instance_and_holds_its_absence_against_none(tmp_path: Path) -> None:
    control_plane = ControlPlane(tmp_path / "data")
    control_plane.start()
    try:
        async with ApiClient(control_plane.url, control_plane.token("agent")) as api:
            registry = RegistryClient(api)
            await registry.register([registration(n, leaseSeconds=2) for n in range(500)])
            before = (await registry.query())["instances"]
            control_plane.kill()
            await asyncio.sleep(2.5)  # longer than the leases: their time must not have run
            control_plane.start()
            after = (await registry.query())["instances"]
            assert [without_lease(i) for i in after] == [without_lease(i) for i in before]
            assert {i["lease"]["lastHeard"] for i in after} == {None}
            async with asyncio.timeout(60):
                while len(shown := (await registry.query())["instances"]) > 1:
                    assert await registry.renew([names(0)], source="agent/h1") == []
                    await asyncio.sleep(0.1)
            assert shown[0]["id"] == "i0"
            assert shown[0]["lease"]["heardBy"] == "agent/h1"
    finally:
        control_plane.kill()


def without_lease(instance: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in instance.items() if name != "lease"}
