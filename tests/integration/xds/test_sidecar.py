"""A sidecar's Envoy, served by the real server from answers in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from skep.ir.match import PathPrefix, RequestMatch
from skep.ir.route import Backend, Forward, Mirror, Origin, Route, VirtualHost
from skep.ir.upstream import Endpoint, Endpoints, Upstream
from skep.model.names import InstanceId, Namespace, ObjectRef, ServiceName
from skep.model.node import Address, Inbound, SidecarNode
from skep.xds.runner import XdsServer
from tests.support.envoys import Application, application, envoy, free_port, until
from tests.support.xds_source import MemorySource

ORIGIN = Origin(ObjectRef("", "Service", "shop", "orders"), 1)


def sidecar(service: str = "caller", inbound: tuple[Inbound, ...] = ()) -> SidecarNode:
    return SidecarNode(
        Namespace("shop"),
        ServiceName(service),
        InstanceId(f"{service}-1"),
        Address("127.0.0.1", free_port()),
        inbound,
    )


@contextlib.asynccontextmanager
async def serving(source: MemorySource, port: int = 0) -> AsyncIterator[tuple[XdsServer, Address]]:
    server = XdsServer(source, lambda token: token == "secret", Address("127.0.0.1", port))
    address = await server.start()
    source.publish = server.publish
    source.open_namespace("shop")
    try:
        yield server, address
    finally:
        await server.stop()


def to(*backends: Backend, mirrors: tuple[Mirror, ...] = (), timeout_s: float | None = None) -> VirtualHost:
    forward = Forward(backends, mirrors, timeout_s=timeout_s)
    return VirtualHost("orders", ("*",), (Route("r", RequestMatch(PathPrefix("/")), forward, ORIGIN),))


def serve(source: MemorySource, name: str, *apps: Application) -> None:
    points = tuple(sorted(Endpoint("127.0.0.1", app.port) for app in apps))
    source.upstream(Upstream(name), Endpoints(name, points))


def client(node: SidecarNode) -> httpx.AsyncClient:
    return httpx.AsyncClient(proxy=f"http://{node.outbound}", timeout=10)


def test_first_call_is_answered_and_unknown_host_gets_404_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with serving(source) as (_, xds), application("orders") as orders:
            source.host("shop", "orders", to(Backend("shop/orders:80")))
            serve(source, "shop/orders:80", orders)
            async with envoy(node, xds, tmp_path), client(node) as http:
                async with asyncio.timeout(8):
                    assert (await http.get("http://orders/a?b=c")).json()["path"] == "/a?b=c"
                assert (await http.post("http://orders/again", content=b"x")).json()["body"] == "x"
                async with asyncio.timeout(8):
                    assert (await http.get("http://nobody/")).status_code == 404
                assert orders.seen[0]["headers"].keys().isdisjoint({"x-envoy-retry-on", "x-skep-retriable"})

    asyncio.run(run())


def test_first_call_may_carry_a_body(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with serving(source) as (_, xds), application("orders") as orders:
            source.host("shop", "orders", to(Backend("shop/orders:80")))
            serve(source, "shop/orders:80", orders)
            async with envoy(node, xds, tmp_path), client(node) as http:
                answer = await http.post("http://orders/", content=b"hello")
                assert (answer.status_code, answer.text and answer.json()["body"]) == (200, "hello")
                assert (await http.post("http://nobody/", content=b"hello")).status_code == 404

    asyncio.run(run())


def test_share_of_an_invalid_backend_answers_500(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with serving(source) as (_, xds), application("orders") as orders:
            source.host("shop", "orders", to(Backend("shop/orders:80", 3), Backend("", 1)))
            serve(source, "shop/orders:80", orders)
            async with envoy(node, xds, tmp_path), client(node) as http:
                answers = [await http.get("http://orders/") for _ in range(400)]
                statuses = [answer.status_code for answer in answers]
                assert set(statuses) == {200, 500}
                assert 60 <= statuses.count(500) <= 140

    asyncio.run(run())


def test_copies_go_to_a_cluster_nobody_asked_for(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with serving(source) as (_, xds), application("orders") as orders, application("shadow") as shadow:
            serve(source, "shop/orders:80", orders)
            serve(source, "shop/shadow:80", shadow)
            source.host("shop", "orders", to(Backend("shop/orders:80"), mirrors=(Mirror("shop/shadow:80", 1, 2),)))
            async with envoy(node, xds, tmp_path), client(node) as http:
                assert {(await http.get("http://orders/")).status_code for _ in range(200)} == {200}
                await until(lambda: len(shadow.seen) > 50)
                assert len(orders.seen) == 200
                assert len(shadow.seen) < 150
                assert shadow.seen[0]["headers"]["host"] == "orders"

    asyncio.run(run())


def test_time_limit_answers_504(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with serving(source) as (_, xds), application("orders") as orders:
            orders.delay_s = 2
            source.host("shop", "orders", to(Backend("shop/orders:80"), timeout_s=0.2))
            serve(source, "shop/orders:80", orders)
            async with envoy(node, xds, tmp_path), client(node) as http:
                assert (await http.get("http://orders/")).status_code == 504

    asyncio.run(run())


def test_host_that_appears_later_is_called_without_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with (
            serving(source) as (_, xds),
            application("orders") as orders,
            envoy(node, xds, tmp_path),
            client(node) as http,
        ):
            assert (await http.get("http://orders/")).status_code == 404
            serve(source, "shop/orders:80", orders)
            source.host("shop", "orders", to(Backend("shop/orders:80")))

            async def answered() -> bool:
                return (await http.get("http://orders/")).status_code == 200

            await until(answered)

    asyncio.run(run())


def test_change_of_endpoints_reaches_the_proxy(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with serving(source) as (_, xds), application("one") as one, application("two") as two:
            source.host("shop", "orders", to(Backend("shop/orders:80")))
            serve(source, "shop/orders:80", one)
            async with envoy(node, xds, tmp_path), client(node) as http:
                assert (await http.get("http://orders/")).json()["app"] == "one"
                serve(source, "shop/orders:80", two)

                async def moved() -> bool:
                    return "two" in (await http.get("http://orders/")).text

                await until(moved)
                source.endpoints(Endpoints("shop/orders:80"))

                async def closed() -> bool:
                    return (await http.get("http://orders/")).status_code == 503

                await until(closed)

    asyncio.run(run())


def test_replaced_cluster_keeps_its_endpoints(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with serving(source) as (_, xds), application("orders") as orders:
            source.host("shop", "orders", to(Backend("shop/orders:80")))
            serve(source, "shop/orders:80", orders)
            async with envoy(node, xds, tmp_path) as proxy, client(node) as http:
                assert (await http.get("http://orders/")).status_code == 200
                source.upstream(Upstream("shop/orders:80", connect_timeout_s=7))

                async def replaced() -> bool:
                    assert (await http.get("http://orders/")).status_code == 200
                    dump: str = await proxy.get("/config_dump?resource=dynamic_active_clusters")
                    return '"connect_timeout": "7s"' in dump

                await until(replaced, 10)  # without its endpoints it would wait for them for 15 s

    asyncio.run(run())


def test_calls_go_on_while_the_server_is_away_and_nothing_is_sent_again(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with application("orders") as orders, contextlib.AsyncExitStack() as proxies:
            source.host("shop", "orders", to(Backend("shop/orders:80")))
            serve(source, "shop/orders:80", orders)
            async with serving(source) as (_, xds):
                proxy = await proxies.enter_async_context(envoy(node, xds, tmp_path))
                http = await proxies.enter_async_context(client(node))
                assert (await http.get("http://orders/")).status_code == 200
                assert (await http.get("http://nobody/")).status_code == 404
                before = await proxy.stats()
            assert (await http.get("http://orders/")).status_code == 200
            source.watched.clear()
            source.taken.clear()
            async with serving(source, xds.port) as (server, _):
                await until(lambda: any(d.name == "shop/orders:80" for d in source.watched))
                await until(server.connected)
                assert (await http.get("http://orders/")).status_code == 200
                source.taken.clear()  # what it said that it holds counts as taken, without being sent
                source.endpoints(Endpoints("shop/orders:80", (Endpoint("127.0.0.1", orders.port, 7),)))
                await until(lambda: source.taken)
                assert {encoded.name for _, taken in source.taken for encoded in taken} <= {"shop/orders:80"}
                after = await proxy.stats()
                for counter in ("cluster_manager.cds.update_success", "listener_manager.lds.update_success"):
                    assert int(after[counter]) == int(before[counter]) > 0

    asyncio.run(run())


def inbound_of(app: Application, protocol: str = "http") -> Inbound:
    return Inbound(Address("127.0.0.1", free_port()), Address("127.0.0.1", app.port), protocol)


def test_killed_application_fails_no_repeatable_call(tmp_path: Path) -> None:
    async def run() -> None:
        source = MemorySource()
        async with serving(source) as (_, xds), application("one") as one, application("two") as two:
            caller = sidecar()
            beside = [sidecar("orders", (inbound_of(app),)) for app in (one, two)]
            points = tuple(Endpoint("127.0.0.1", node.inbound[0].listen.port) for node in beside)
            source.host("shop", "orders", to(Backend("shop/orders:80")))
            source.upstream(Upstream("shop/orders:80"), Endpoints("shop/orders:80", points))
            async with contextlib.AsyncExitStack() as proxies:
                for node in beside:
                    await proxies.enter_async_context(envoy(node, xds, tmp_path, listeners=2))
                await proxies.enter_async_context(envoy(caller, xds, tmp_path))
                http = await proxies.enter_async_context(client(caller))
                one.delay_s = two.delay_s = 0.005
                statuses: list[int] = []
                leaks: list[str] = []

                async def load() -> None:
                    for _ in range(150):
                        answer = await http.get("http://orders/")
                        statuses.append(answer.status_code)
                        leaks.extend(set(answer.headers) & {"x-skep-retriable", "x-envoy-attempt-count"})

                async with asyncio.TaskGroup() as group:
                    for _ in range(8):
                        group.create_task(load())
                    await until(lambda: len(statuses) > 200)
                    await one.close()
                assert set(statuses) == {200}
                assert not leaks
                posts = [(await http.post("http://orders/", content=b"x")).status_code for _ in range(20)]
                assert set(posts) == {200}, "a refused connection is safe to repeat for any method"

    asyncio.run(run())


def test_killed_proxy_fails_no_repeatable_call(tmp_path: Path) -> None:
    async def run() -> None:
        source = MemorySource()
        async with serving(source) as (_, xds), application("one") as one, application("two") as two:
            caller = sidecar()
            beside = [sidecar("orders", (inbound_of(app),)) for app in (one, two)]
            points = tuple(Endpoint("127.0.0.1", node.inbound[0].listen.port) for node in beside)
            source.host("shop", "orders", to(Backend("shop/orders:80")))
            source.upstream(Upstream("shop/orders:80"), Endpoints("shop/orders:80", points))
            async with contextlib.AsyncExitStack() as proxies:
                killed, _ = [await proxies.enter_async_context(envoy(n, xds, tmp_path, listeners=2)) for n in beside]
                await proxies.enter_async_context(envoy(caller, xds, tmp_path))
                http = await proxies.enter_async_context(client(caller))
                one.delay_s = two.delay_s = 0.005
                statuses: list[int] = []

                async def load() -> None:
                    for _ in range(150):
                        statuses.append((await http.get("http://orders/")).status_code)

                async with asyncio.TaskGroup() as group:
                    for _ in range(8):
                        group.create_task(load())
                    await until(lambda: len(statuses) > 200)
                    await killed.stop()
                assert set(statuses) == {200}

    asyncio.run(run())


def test_post_that_reached_the_application_is_not_repeated(tmp_path: Path) -> None:
    async def run() -> None:
        source = MemorySource()
        async with serving(source) as (_, xds), application("one") as one, application("two") as two:
            caller = sidecar()
            beside = [sidecar("orders", (inbound_of(app),)) for app in (one, two)]
            points = tuple(Endpoint("127.0.0.1", node.inbound[0].listen.port) for node in beside)
            source.host("shop", "orders", to(Backend("shop/orders:80")))
            source.upstream(Upstream("shop/orders:80"), Endpoints("shop/orders:80", points))
            async with contextlib.AsyncExitStack() as proxies:
                for node in beside:
                    await proxies.enter_async_context(envoy(node, xds, tmp_path, listeners=2))
                await proxies.enter_async_context(envoy(caller, xds, tmp_path))
                http = await proxies.enter_async_context(client(caller))
                one.delay_s = two.delay_s = 5
                call = asyncio.create_task(http.post("http://orders/", content=b"pay"))  # noqa: TID251  awaited below
                await until(lambda: one.seen or two.seen)
                await (one if one.seen else two).close()
                assert (await call).status_code == 503
                assert len(one.seen) + len(two.seen) == 1

    asyncio.run(run())


def test_wrong_token_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        source, node = MemorySource(), sidecar()
        async with serving(source) as (server, xds), envoy(node, xds, tmp_path, token="wrong", listeners=0) as proxy:
            await until(lambda: "no valid token" in proxy.log.read_text())
            assert not server.connected()
            assert not source.watched

    asyncio.run(run())
