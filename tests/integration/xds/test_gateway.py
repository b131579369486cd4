"""A gateway's Envoy, served by the real server from answers in memory."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from skep.ir.edge import EdgePort, Routes, Server
from skep.ir.match import PathExact, PathPrefix, PathRegex, RequestMatch, ValueMatch
from skep.ir.route import (
    Action,
    Backend,
    Forward,
    HeaderChange,
    HeaderValue,
    Origin,
    PathFull,
    PathPrefixReplaced,
    Redirect,
    Respond,
    Rewrite,
    Route,
    VirtualHost,
)
from skep.ir.upstream import Endpoint, Endpoints, Upstream
from skep.model.names import Namespace, ObjectRef
from skep.model.node import Address, GatewayNode
from skep.xds.runner import XdsServer
from tests.support.envoys import Application, Envoy, application, envoy, free_port, until
from tests.support.tls import make_certificate
from tests.support.xds_source import MemorySource

ORIGIN = Origin(ObjectRef("gateway.networking.k8s.io", "HTTPRoute", "shop", "shop"), 1)
NODE = GatewayNode(Namespace("shop"), "edge")
UPSTREAM = Upstream("shop/orders:80")
BACKEND = (Backend("shop/orders:80"),)


def route(match: RequestMatch, action: Action, name: str = "r") -> Route:
    return Route(name, match, action, ORIGIN)


def prefix(path: str) -> RequestMatch:
    return RequestMatch(PathPrefix(path))


class Edge:
    """A gateway under test."""

    def __init__(self, source: MemorySource, app: Application, folder: Path, xds: Address) -> None:
        self.source, self.app, self.folder, self.xds = source, app, folder, xds
        self.port = free_port()
        self.name = f"gateway/shop/edge/{self.port}"
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=10)
        self.proxy: Envoy | None = None

    def serve(self, *routes: Route, hosts: Sequence[VirtualHost] = ()) -> None:
        hosts = hosts or (VirtualHost("all", ("*",), routes),)
        port = EdgePort(self.name, Address("127.0.0.1", self.port), (Server(self.name),), ORIGIN)
        self.source.endpoints(Endpoints("shop/orders:80", (Endpoint("127.0.0.1", self.app.port),)))
        self.source.gateway([port], [Routes(self.name, tuple(hosts))], [UPSTREAM])


@contextlib.asynccontextmanager
async def edge(folder: Path, *routes: Route, hosts: Sequence[VirtualHost] = ()) -> AsyncIterator[Edge]:
    source = MemorySource()
    server = XdsServer(source, lambda token: token == "secret", Address("127.0.0.1", 0))
    xds = await server.start()
    source.publish = server.publish
    try:
        async with application("orders") as app:
            one = Edge(source, app, folder, xds)
            one.serve(*routes, hosts=hosts)
            async with envoy(NODE, xds, folder) as proxy, one.http:
                one.proxy = proxy
                yield one
    finally:
        await server.stop()


REPLACED = [  # HTTPPathModifier's table in the Gateway API
    ("/foo", "/xyz", "/foo/bar", "/xyz/bar"),
    ("/foo", "/xyz/", "/foo/bar", "/xyz/bar"),
    ("/foo", "/xyz", "/foo", "/xyz"),
    ("/foo", "/xyz", "/foo/", "/xyz/"),
    ("/foo", "", "/foo/bar?q=1", "/bar?q=1"),
    ("/foo", "", "/foo/", "/"),
    ("/foo", "", "/foo?q=1", "/?q=1"),
    ("/foo", "/", "/foo/", "/"),
    ("/foo", "/", "/foo", "/"),
    ("/foo.x", "/", "/foo.x/bar", "/bar"),
    ("/", "/xyz", "/bar", "/xyz/bar"),
    ("/", "/", "/bar", "/bar"),
]


def test_replaced_prefixes_follow_the_gateway_api(tmp_path: Path) -> None:
    async def run() -> None:
        async with edge(tmp_path, route(prefix("/ready"), Respond(200))) as one:
            for matched, replacement, path, expected in REPLACED:
                change = PathPrefixReplaced(replacement)
                rewritten = VirtualHost(
                    "w", ("w.example",), (route(prefix(matched), Forward(BACKEND, rewrite=Rewrite(path=change))),)
                )
                redirected = VirtualHost("r", ("r.example",), (route(prefix(matched), Redirect(path=change)),))
                marker = VirtualHost("m", ("m.example",), (route(prefix("/"), Respond(200, str(id(change)))),))
                one.serve(hosts=(rewritten, redirected, marker))

                async def live(text: str = str(id(change))) -> bool:
                    return (await one.http.get("/", headers={"host": "m.example"})).text == text

                await until(live)
                answer = await one.http.get(path, headers={"host": "w.example"})
                assert answer.json()["path"] == expected, (matched, replacement, path)
                answer = await one.http.get(path, headers={"host": "r.example"})
                assert answer.headers["location"] == f"http://r.example{expected}", (matched, replacement, path)

    asyncio.run(run())


def test_redirects(tmp_path: Path) -> None:
    cases = [
        (Redirect(scheme="https"), "https://a.example/p?q=1"),
        (Redirect(scheme="https", port=8443), "https://a.example:8443/p?q=1"),
        (Redirect(hostname="b.example", port=8080), "http://b.example:8080/p?q=1"),
        (Redirect(hostname="b.example", scheme="https", port=443), "https://b.example/p?q=1"),
        (Redirect(hostname="b.example", scheme="http", port=80, status=301), "http://b.example/p?q=1"),
        (Redirect(path=PathFull("/new")), "http://a.example/new?q=1"),
        (Redirect(path=PathFull("/n\\1%2F"), status=308), "http://a.example/n\\1%2F?q=1"),
    ]
    hosts = [
        VirtualHost(f"h{i}", (f"h{i}.example",), (route(prefix("/"), action),)) for i, (action, _) in enumerate(cases)
    ]

    async def run() -> None:
        async with edge(tmp_path, hosts=hosts) as one:
            for i, (action, location) in enumerate(cases):
                answer = await one.http.get("/p?q=1", headers={"host": f"h{i}.example"})
                assert answer.headers["location"] == location.replace("a.example", f"h{i}.example")
                assert answer.status_code == action.status

    asyncio.run(run())


def test_matches_rewrites_and_headers(tmp_path: Path) -> None:
    change = HeaderChange(set=(HeaderValue("x-set", "100%"),), add=(HeaderValue("x-add", "b"),), remove=("x-gone",))
    routes = (
        route(RequestMatch(PathExact("/exact")), Respond(201)),
        route(RequestMatch(PathRegex("/r[0-9]+"), method="PUT"), Respond(202)),
        route(RequestMatch(headers=(ValueMatch("x-v", "v[12]", regex=True),)), Respond(203)),
        route(RequestMatch(queries=(ValueMatch("q", "1"),)), Respond(205)),
        route(prefix("/api"), Forward(BACKEND, rewrite=Rewrite("inner.example", PathFull("/full")))),
        route(prefix("/headers"), Forward(BACKEND, request_headers=change, response_headers=change)),
        route(prefix("/none"), Forward((Backend(""),))),
        route(prefix("/gone"), Forward((Backend("shop/orders:80", 0),))),
    )

    async def run() -> None:
        async with edge(tmp_path, *routes) as one:
            get = one.http.get
            assert (await get("/exact?x")).status_code == 201
            assert (await get("/exact/")).status_code == 404
            assert (await one.http.put("/r12")).status_code == 202
            assert (await get("/r12")).status_code == 404
            assert (await get("/", headers={"x-v": "v2"})).status_code == 203
            assert (await get("/?q=1")).status_code == 205
            saw = (await get("/api/x?y=z", headers={"host": "out.example:8080"})).json()
            assert (saw["path"], saw["headers"]["host"]) == ("/full?y=z", "inner.example")
            assert (await get("/apix")).status_code == 404
            one.app.extra_headers = {"x-set": "was", "x-add": "a", "x-gone": "1", "x-skep-retriable": "true"}
            answer = await get("/headers", headers={"x-set": "was", "x-add": "a", "x-gone": "1"})
            saw = answer.json()["headers"]
            assert (saw["x-set"], saw["x-add"], "x-gone" in saw) == ("100%", "a,b", False)
            assert (answer.headers["x-set"], "x-gone" in answer.headers) == ("100%", False)
            assert answer.headers.get_list("x-add") == ["a", "b"]
            assert "x-skep-retriable" not in answer.headers
            assert "server" not in answer.headers
            assert (await get("/none")).status_code == 500
            assert (await get("/gone")).status_code == 500

    asyncio.run(run())


def test_many_routes_decide_as_few_do(tmp_path: Path) -> None:
    many = [route(prefix(f"/r/{n}"), Respond(200, f"prefix {n}")) for n in range(100)]
    routes = (
        route(RequestMatch(PathExact("/r/7/exact")), Respond(200, "exact")),
        route(RequestMatch(PathPrefix("/r/8"), headers=(ValueMatch("x-v", "2"),)), Respond(200, "header")),
        *many,
        route(RequestMatch(PathRegex("/r/[0-9]+x")), Respond(200, "regex")),
        route(prefix("/"), Respond(200, "root")),
    )
    expected = {
        "/r/7": "prefix 7",
        "/r/7?q=1": "prefix 7",
        "/r/7/exact": "exact",
        "/r/7/exact/more": "prefix 7",
        "/r/77/a": "prefix 77",
        "/r/7x": "regex",
        "/r/999": "root",
        "/r": "root",
        "/other": "root",
    }

    async def run() -> None:
        async with edge(tmp_path, *routes) as one:
            for path, text in expected.items():
                assert (await one.http.get(path)).text == text, path
            assert (await one.http.get("/r/8", headers={"x-v": "2"})).text == "header"
            assert (await one.http.get("/r/8")).text == "prefix 8"

    asyncio.run(run())


def test_refused_configuration_is_reported_and_the_last_good_one_stays(tmp_path: Path) -> None:
    async def run() -> None:
        async with edge(tmp_path, route(prefix("/"), Respond(201))) as one:
            bad = HeaderChange(set=(HeaderValue(":path", "/"),))
            one.serve(route(prefix("/"), Forward(BACKEND, request_headers=bad)))
            await until(lambda: one.source.rejections)
            demand, resources, message = one.source.rejections[0]
            assert demand.name == one.name
            assert resources[0].origins[0][0] == ORIGIN
            assert message
            assert (await one.http.get("/")).status_code == 201
            one.serve(route(prefix("/"), Respond(202)))

            async def live() -> bool:
                return (await one.http.get("/")).status_code == 202

            await until(live)

    asyncio.run(run())


def test_taken_port_is_reported_and_other_ports_open(tmp_path: Path) -> None:
    async def run() -> None:
        async with edge(tmp_path, route(prefix("/"), Respond(201))) as one, application("stranger") as stranger:
            more = free_port()
            ports = [
                EdgePort(f"gateway/shop/edge/{port}", Address("127.0.0.1", port), (Server(one.name),), ORIGIN)
                for port in (one.port, stranger.port, more)
            ]
            table = Routes(one.name, (VirtualHost("all", ("*",), (route(prefix("/"), Respond(203)),)),))
            one.source.gateway(ports, [table], [UPSTREAM])
            await until(lambda: one.source.rejections)
            assert [e.name for _, r, _ in one.source.rejections for e in r] == [f"gateway/shop/edge/{stranger.port}"]
            assert "in use" in one.source.rejections[0][2]

            async def open_() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return (await one.http.get(f"http://127.0.0.1:{more}/")).status_code == 203
                return False

            await until(open_)

    asyncio.run(run())


@pytest.mark.parametrize("names", [("a.example", "b.example")])
def test_tls_is_chosen_by_server_name(tmp_path: Path, names: tuple[str, str]) -> None:
    async def asked(port: int, name: str) -> tuple[str, str]:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(f"GET / HTTP/1.1\r\nhost: {name}:{port}\r\nconnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        subject = x509.load_der_x509_certificate(shown).subject.rfc4514_string()
        return subject.removeprefix("CN="), answer.rpartition("\r\n")[2]

    async def run() -> None:
        async with edge(tmp_path, route(prefix("/"), Respond(201))) as one:
            port = free_port()
            base = f"gateway/shop/edge/{port}"
            servers = tuple(Server(f"{base}/{name}", (name,), (f"shop/{name}",)) for name in names)
            for name in names:
                one.source.certificate(make_certificate(name, f"shop/{name}"))
            tables = [
                Routes(s.name, (VirtualHost(n, (n,), (route(prefix("/"), Respond(200, n)),)),))
                for s, n in zip(servers, names, strict=True)
            ]
            plain = EdgePort(one.name, Address("127.0.0.1", one.port), (Server(one.name),), ORIGIN)
            ports = [plain, EdgePort(base, Address("127.0.0.1", port), servers, ORIGIN)]
            one.source.gateway(ports, tables, [UPSTREAM])

            async def opened() -> bool:
                assert one.proxy is not None
                return len(await one.proxy.listening()) == 2

            await until(opened)
            for name in names:
                assert await asked(port, name) == (name, name)

    asyncio.run(run())
