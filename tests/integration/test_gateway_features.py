"""Gateways and backends through real Envoys: listeners, hostnames, TLS from Secrets, grants, other names, HTTP/2 and gRPC."""

import base64
import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from bench.backend import answering, envoy
from bench.platform import free_ports, registration
from tests.support.entrance import GATEWAY, GRANTS, World, call, listens, rule, soon, to, world
from tests.support.tls import make_certificate

ROUTES = f"{GATEWAY}/default/httproutes"


@pytest.fixture(scope="module")
def platform() -> Iterator[World]:
    with world("a", "b", "c") as found:
        yield found


@pytest.fixture
def skep(platform: World) -> Iterator[World]:
    yield platform
    platform.clean()


def http_route(name: str, *rules: dict[str, Any], namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [{"name": "edge", "namespace": "default"}], "rules": list(rules), **spec},
    }


def gateway(name: str, *listeners: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "gatewayClassName": "skep",
            "addresses": [{"type": "IPAddress", "value": "127.0.0.1"}],
            "listeners": list(listeners),
        },
    }


def secret(name: str, host: str, namespace: str = "default") -> dict[str, Any]:
    made = make_certificate(host, f"{namespace}/{name}")
    data = {"tls.crt": made.chain_pem, "tls.key": made.key_pem}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def namespace(skep: World, name: str) -> None:
    skep.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def grant(name: str, source: tuple[str, str, str], target: tuple[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "grant", "namespace": name},
        "spec": {
            "from": [dict(zip(("group", "kind", "namespace"), source, strict=True))],
            "to": [dict(zip(("group", "kind"), target, strict=True))],
        },
    }


def shown(port: int, host: str) -> str:
    """Return whose certificate a TLS port shows for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        found = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    return str(found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_listeners_hostnames_and_wildcards(skep: World) -> None:
    one, two = free_ports(2)
    everyone = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    where = skep.create(
        f"{GATEWAY}/default/gateways",
        gateway(
            "shops",
            {"name": "any", "port": one, "protocol": "HTTP", **everyone},
            {"name": "wild", "port": one, "protocol": "HTTP", "hostname": "*.shop.example", **everyone},
            {"name": "two", "port": two, "protocol": "HTTP", **everyone},
        ),
    )
    shops = {"name": "shops"}
    skep.create(ROUTES, http_route("on-any", rule("a"), parentRefs=[shops | {"sectionName": "any"}]))
    skep.create(ROUTES, http_route("on-wild", rule("b"), parentRefs=[shops | {"sectionName": "wild"}]))
    hostnames = ["x.shop.example", "*.deep.shop.example", "elsewhere.example"]
    skep.create(ROUTES, http_route("named", rule("c"), parentRefs=[shops], hostnames=hostnames))
    soon(lambda: skep.conditions(where, "").get("Programmed") == ("True", "Programmed"))
    soon(lambda: listens(two) and call(one, host="x.shop.example").app == "c")
    assert call(one, host="any.example").app == "a"
    assert call(one, host="any.example:8080").app == "a"
    assert call(one, host="y.shop.example").app == "b"
    assert call(one, host="Y.Shop.Example").app == "b", "hosts have no case"
    assert call(one, host="z.deep.shop.example").app == "c"
    assert call(one, host="shop.example").app == "a", "a wildcard takes at least one label"
    assert call(one, host="elsewhere.example").app == "c"
    assert call(two, host="x.shop.example").app == "c"
    assert call(two, host="any.example").status == 404
    listed = {each["name"]: each["attachedRoutes"] for each in skep.skep.call("GET", where)["status"]["listeners"]}
    assert listed == {"any": 2, "wild": 2, "two": 1}


def test_a_replaced_certificate_is_shown_without_a_failed_request(skep: World) -> None:
    (port,) = free_ports(1)
    listener = {
        "name": "tls", "port": port, "protocol": "HTTPS", "hostname": "shop.example",
        "tls": {"certificateRefs": [{"name": "shop-tls"}]},
    }  # fmt: skip
    where = skep.create(f"{GATEWAY}/default/gateways", gateway("secure", listener))
    skep.create(ROUTES, http_route("secure", rule("a"), parentRefs=[{"name": "secure"}]))
    soon(lambda: skep.conditions(where, "").get("Programmed", ("", ""))[0] == "False")
    kept = skep.create("/api/v1/namespaces/default/secrets", secret("shop-tls", "shop.example"))
    soon(lambda: skep.conditions(where, "").get("Programmed") == ("True", "Programmed"))
    soon(lambda: listens_tls(port))
    assert shown(port, "shop.example") == "shop.example"
    failures: list[str] = []
    answered: list[int] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            try:
                answered.append(secure_call(port))
            except OSError as error:
                failures.append(repr(error))

    callers = [threading.Thread(target=load) for _ in range(4)]
    for each in callers:
        each.start()
    try:
        for number in range(5):
            replaced = secret("shop-tls", f"shop-{number}.example")
            skep.skep.call("PATCH", kept, {"data": replaced["data"]})
            soon(lambda number=number: shown(port, "shop.example") == f"shop-{number}.example")  # type: ignore[misc]
    finally:
        done.set()
        for each in callers:
            each.join()
    assert failures == []
    assert set(answered) == {200}
    skep.skep.call("PATCH", kept, {"data": {"tls.crt": "bm90IGEgY2VydGlmaWNhdGU="}})
    soon(lambda: skep.conditions(where, "listeners").get("ResolvedRefs") == ("False", "InvalidCertificateRef"))


def secure_call(port: int) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="shop.example") as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n")
        return int(tls.makefile("rb").readline().split()[1])


def listens_tls(port: int) -> bool:
    try:
        return secure_call(port) == 200
    except OSError:
        return False


def test_references_across_namespaces_need_a_grant(skep: World) -> None:
    namespace(skep, "other")
    app = skep.apps["b"]
    theirs = [registration("other", "theirs", 1, app.port)]
    skep.skep.call("POST", "/registry/v1/instances", {"instances": theirs})
    where = skep.create(ROUTES, http_route("across", rule(), hostnames=["across.example"]))
    rules = [{"backendRefs": [to("theirs", namespace="other")]}]
    skep.skep.call("PATCH", where, {"spec": {"rules": rules}})
    port = skep.skep.gateway_port
    soon(lambda: skep.conditions(where).get("ResolvedRefs") == ("False", "RefNotPermitted"))
    soon(lambda: call(port, host="across.example").status == 500)
    assert call(skep.outbound, host="theirs.other").status == 404, "nor may the mesh call it"
    kept = skep.create(
        f"{GRANTS}/other/referencegrants",
        grant("other", ("gateway.networking.k8s.io", "HTTPRoute", "default"), ("", "Service")),
    )
    soon(lambda: call(port, host="across.example").app == "b")
    soon(lambda: skep.conditions(where).get("ResolvedRefs") == ("True", "ResolvedRefs"))
    soon(lambda: call(skep.outbound, host="theirs.other").app == "b")
    skep.skep.call("DELETE", kept)
    skep.made.remove(kept)
    soon(lambda: call(port, host="across.example").status == 500)
    soon(lambda: call(skep.outbound, host="theirs.other").status == 404)


def test_a_listener_takes_the_namespaces_it_allows(skep: World) -> None:
    (port,) = free_ports(1)
    namespace(skep, "guests")
    skep.create(f"{GATEWAY}/default/gateways", gateway("private", {"name": "http", "port": port, "protocol": "HTTP"}))
    parents = [{"name": "private", "namespace": "default"}]
    where = skep.create(
        f"{GATEWAY}/guests/httproutes", http_route("guest", rule("a"), namespace="guests", parentRefs=parents)
    )
    soon(lambda: skep.conditions(where).get("Accepted") == ("False", "NotAllowedByListeners"))
    skep.create(ROUTES, http_route("own", rule("a"), parentRefs=parents))
    soon(lambda: listens(port) and call(port).app == "a")


def test_a_name_outside_the_mesh(skep: World) -> None:
    app = skep.apps["c"]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "outside", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": app.port}]},
    }
    skep.create("/api/v1/namespaces/default/services", service)
    backend = {"backendRefs": [{"name": "outside", "port": app.port}]}
    skep.create(ROUTES, http_route("outside", backend, hostnames=["outside.example"]))
    soon(lambda: call(skep.skep.gateway_port, host="outside.example").app == "c")
    soon(lambda: call(skep.outbound, host=f"outside:{app.port}").app == "c")


def test_a_service_whose_last_instance_restarts_is_away_and_not_unknown(skep: World) -> None:
    registered = {"instances": [registration("default", "brief", 1, skep.apps["a"].port)]}
    assert call(skep.outbound, host="brief").status == 404
    skep.skep.call("POST", "/registry/v1/instances", registered)
    soon(lambda: call(skep.outbound, host="brief").app == "a")
    skep.skep.call("DELETE", "/registry/v1/namespaces/default/services/brief/instances/brief-1")
    soon(lambda: call(skep.outbound, host="brief").status == 503)
    skep.skep.call("POST", "/registry/v1/instances", registered)
    soon(lambda: call(skep.outbound, host="brief").app == "a")


@contextmanager
def http2_only() -> Iterator[int]:
    """Run a service that speaks HTTP/2 without TLS and nothing else."""
    (port,) = free_ports(1)
    listener = answering(port)
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["codec_type"] = "HTTP2"
    plain = answering(free_ports(1)[0])
    ready = f"http://127.0.0.1:{plain['address']['socket_address']['port_value']}/"
    with envoy({"static_resources": {"listeners": [listener, plain | {"name": "ready"}]}}, ready):
        yield port


@pytest.mark.parametrize("by", ["appProtocol", "registration"])
def test_a_service_that_speaks_only_http2(skep: World, by: str) -> None:
    with http2_only() as port:
        name = f"modern-{by.lower()}"
        said = {"protocol": "http2"} if by == "registration" else {}
        registered = [registration("default", name, 1, port, **said)]
        skep.skep.call("POST", "/registry/v1/instances", {"instances": registered})
        if by == "appProtocol":
            spec = {
                "selector": {"skep.dev/service": name},
                "ports": [{"port": 80, "appProtocol": "kubernetes.io/h2c"}],
            }
            service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}}
            skep.create("/api/v1/namespaces/default/services", service | {"spec": spec})
        skep.create(ROUTES, http_route(name, rule(name), hostnames=[f"{name}.example"]))
        soon(lambda: call(skep.skep.gateway_port, host=f"{name}.example").body == b"ok")
        soon(lambda: call(skep.outbound, host=name).body == b"ok")


@contextmanager
def grpc_service() -> Iterator[int]:
    """Run a gRPC service: `/echo/Each` answers every message, `/echo/Fail` refuses."""

    def each(messages: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        for message in messages:
            yield message[::-1]

    def fail(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more")

    methods = {
        "Each": grpc.stream_stream_rpc_method_handler(each),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    with ThreadPoolExecutor(4) as workers:
        server = grpc.server(workers)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo", methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait(5)


@pytest.mark.parametrize("entrance", ["gateway", "mesh"])
def test_grpc_passes_with_its_streams_and_trailers(skep: World, entrance: str) -> None:
    with grpc_service() as port:
        name = f"rpc-{entrance}"
        registered = [registration("default", name, 1, port, protocol="grpc")]
        skep.skep.call("POST", "/registry/v1/instances", {"instances": registered})
        match = {"path": {"type": "PathPrefix", "value": "/echo"}}
        skep.create(ROUTES, http_route(name, rule(name, matches=[match]), hostnames=[name]))
        at = skep.skep.gateway_port if entrance == "gateway" else skep.outbound
        options = (("grpc.default_authority", name), ("grpc.enable_http_proxy", 0))
        with grpc.insecure_channel(f"127.0.0.1:{at}", options=options) as channel:
            talk = channel.stream_stream("/echo/Each", None, None)

            def echoed() -> bool:
                try:
                    return list(talk(iter([b"ab", b"cd"]), timeout=5)) == [b"ba", b"dc"]
                except grpc.RpcError:
                    return False

            soon(echoed)
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary("/echo/Fail", None, None)(b"", timeout=5)
            assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refused.value.details() == "no more"


def test_the_default_gateway_shows_its_own_certificate(skep: World) -> None:
    port = int(skep.skep.env["SKEP_GATEWAY_HTTPS_PORT"])
    skep.create(ROUTES, http_route("plain", rule("a"), hostnames=["plain.example"]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    asked = urllib.request.Request(f"https://127.0.0.1:{port}/", headers={"host": "plain.example"})

    def answered() -> bool:
        try:
            with urllib.request.urlopen(asked, timeout=5, context=context) as answer:
                return bool(json.loads(answer.read())["app"] == "a")
        except OSError:
            return False

    soon(answered)
