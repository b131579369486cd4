"""One bad object among good ones, with a real Envoy in the loop: it is set aside alone, and its author is told.

What validation lets through and Envoy refuses is hard to come by, so this Envoy is told to refuse regular expressions
larger than it otherwise would.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.backend import backend, envoy, wait_for
from bench.platform import Platform, free_ports, platform, registration
from skep.model.names import Namespace
from skep.model.node import Address, GatewayNode
from skep.xds.bootstrap import bootstrap

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"
SIMPLE = "/(one|two)"
LARGE = "/[a-z]{200}[0-9]{200}[A-Z]{200}"
"""Valid RE2, but beyond this Envoy's limit."""


@pytest.fixture(scope="module")
def skep() -> Iterator[Platform]:
    with server() as running, gateway(running):
        yield running


@contextmanager
def server() -> Iterator[Platform]:
    """Run a control plane with one service."""
    with backend() as service, platform("server") as running:
        running.call("POST", "/registry/v1/instances", {"instances": [registration("default", "echo", 1, service)]})
        yield running


@contextmanager
def gateway(running: Platform, name: str = "edge") -> Iterator[None]:
    """Run the Envoy of a Gateway, stricter than usual."""
    (admin,) = free_ports(1)
    config = bootstrap(
        GatewayNode(Namespace("default"), name),
        Address("127.0.0.1", running.grpc_port),
        running.token("agent"),
        Address("127.0.0.1", admin),
    )
    strict = {"re2.max_program_size.error_level": 100}
    config["layered_runtime"] = {"layers": [{"name": "strict", "static_layer": strict}]}
    with envoy(config, f"http://127.0.0.1:{admin}/ready"):
        yield


@pytest.fixture
def routes(skep: Platform) -> Iterator[Callable[..., None]]:
    made: list[str] = []

    def write(name: str, path: str, *, kind: str = "PathPrefix") -> None:
        document = route(name, path, kind)
        if name in made:
            skep.call("PATCH", f"{ROUTES}/{name}", {"spec": document["spec"]})
        else:
            skep.call("POST", ROUTES, document)
            made.append(name)

    yield write
    for name in made:
        skep.call("DELETE", f"{ROUTES}/{name}")


def route(name: str, path: str, kind: str) -> dict[str, Any]:
    rule = {"matches": [{"path": {"type": kind, "value": path}}], "backendRefs": [{"name": "echo", "port": 80}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [rule]},
    }


def status(skep: Platform, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{skep.gateway_port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def programmed(skep: Platform, name: str) -> dict[str, Any]:
    """Return a route's condition Programmed."""
    (parent,) = skep.call("GET", f"{ROUTES}/{name}").get("status", {}).get("parents") or [{"conditions": []}]
    return next((c for c in parent["conditions"] if c["type"] == "Programmed"), {})


def soon(what: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Wait until something holds."""
    started = time.perf_counter()
    while not what():
        assert time.perf_counter() - started < limit_s, "it did not come true in time"
        time.sleep(0.01)


def test_a_refused_route_is_set_aside_alone_and_its_author_is_told(skep: Platform, routes: Callable[..., None]) -> None:
    for name in ("a", "b", "c"):
        routes(name, f"/{name}")
    soon(lambda: [status(skep, f"/{name}") for name in "abc"] == [200, 200, 200])
    routes("bad", LARGE, kind="RegularExpression")
    soon(lambda: programmed(skep, "bad").get("status") == "False")
    assert "program size" in programmed(skep, "bad")["message"]
    assert [status(skep, f"/{name}") for name in "abc"] == [200, 200, 200]
    routes("d", "/d")
    soon(lambda: status(skep, "/d") == 200)
    assert all(programmed(skep, name)["status"] == "True" for name in "abcd")


def test_what_was_good_stays_while_a_newer_generation_is_refused(skep: Platform, routes: Callable[..., None]) -> None:
    routes("turns", SIMPLE, kind="RegularExpression")
    soon(lambda: status(skep, "/one") == 200)
    routes("turns", LARGE, kind="RegularExpression")
    soon(lambda: programmed(skep, "turns").get("status") == "False")
    assert status(skep, "/one") == 200
    routes("turns", "/(two|three)", kind="RegularExpression")
    soon(lambda: status(skep, "/three") == 200)
    soon(lambda: programmed(skep, "turns").get("status") == "True")
    assert status(skep, "/one") == 404


def test_what_was_good_stays_where_it_was_while_a_move_is_refused(skep: Platform, routes: Callable[..., None]) -> None:
    (port,) = free_ports(1)
    listener = {"name": "http", "port": port, "protocol": "HTTP"}
    second = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "second", "namespace": "default"},
        "spec": {"gatewayClassName": "skep", "listeners": [listener]},
    }
    gateways = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways"
    skep.call("POST", gateways, second)
    with gateway(skep, "second"):
        routes("moves", SIMPLE, kind="RegularExpression")
        soon(lambda: status(skep, "/one") == 200)
        moved = route("moves", LARGE, "RegularExpression")["spec"] | {"parentRefs": [{"name": "second"}]}
        skep.call("PATCH", f"{ROUTES}/moves", {"spec": moved})
        soon(lambda: programmed(skep, "moves").get("status") == "False")
        soon(lambda: status(skep, "/one") == 200)
        good = route("moves", SIMPLE, "RegularExpression")["spec"] | {"parentRefs": [{"name": "second"}]}
        skep.call("PATCH", f"{ROUTES}/moves", {"spec": good})
        soon(lambda: status(skep, "/one") == 404)
    skep.call("DELETE", f"{gateways}/second")


def restart(running: Platform) -> None:
    """End the control plane as a crash would, and start it again."""
    running.process.kill()
    running.process.wait(10)
    command = [str(Path(sys.executable).with_name("skep")), "server"]
    with running.log.open("ab") as log:
        running.process = subprocess.Popen(command, env=running.env, stdout=log, stderr=log, start_new_session=True)
    wait_for(f"{running.url}/readyz")


def is_kept(running: Platform) -> bool:
    files = (running.folder / "data").glob("skep.db*")
    return any(b"rulings.internal.skep.dev" in file.read_bytes() for file in files)


def test_a_restart_neither_loses_what_was_good_nor_tries_what_was_refused() -> None:
    with server() as running:
        for name in ("stays", "other"):
            running.call("POST", ROUTES, route(name, f"/{name}", "PathPrefix"))
        with gateway(running):
            soon(lambda: [status(running, f"/{name}") for name in ("stays", "other")] == [200, 200])
            bad = route("stays", LARGE, "RegularExpression")
            running.call("PATCH", f"{ROUTES}/stays", {"spec": bad["spec"]})
            soon(lambda: programmed(running, "stays").get("status") == "False")
            soon(lambda: is_kept(running))
            restart(running)
            seen: set[int] = set()
            for number in range(10):
                running.call("POST", ROUTES, route(f"new-{number}", f"/new-{number}", "PathPrefix"))
                soon(lambda number=number: status(running, f"/new-{number}") == 200)  # type: ignore[misc]
                seen.update(status(running, f"/{name}") for name in ("stays", "other"))
            assert seen == {200}
            assert programmed(running, "stays")["status"] == "False"
            running.call("PATCH", f"{ROUTES}/stays", {"spec": route("stays", "/moved", "PathPrefix")["spec"]})
            soon(lambda: status(running, "/moved") == 200)
            soon(lambda: programmed(running, "stays").get("status") == "True")
            assert status(running, "/stays") == 404


def test_the_guilty_one_is_found_among_many_that_came_in_one_response() -> None:
    names = [f"many-{number}" for number in range(16)]
    with server() as running:
        for name in names[:8]:
            running.call("POST", ROUTES, route(name, f"/{name}", "PathPrefix"))
        running.call("POST", ROUTES, route("guilty", LARGE, "RegularExpression"))
        for name in names[8:]:
            running.call("POST", ROUTES, route(name, f"/{name}", "PathPrefix"))
        with gateway(running):
            soon(lambda: [status(running, f"/{name}") for name in names] == [200] * len(names))
            soon(lambda: programmed(running, "guilty").get("status") == "False")
            soon(lambda: all(programmed(running, name)["status"] == "True" for name in names))


def test_a_taken_port_is_told_and_the_other_listeners_go_on(skep: Platform, routes: Callable[..., None]) -> None:
    routes("x", "/x")
    soon(lambda: status(skep, "/x") == 200)
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/edge"
    listeners = skep.call("GET", path)["spec"]["listeners"]
    taken = {"name": "taken", "port": skep.grpc_port, "protocol": "HTTP"}
    skep.call("PATCH", path, {"spec": {"listeners": [*listeners, taken]}})

    def told() -> bool:
        found = {listener["name"]: listener for listener in skep.call("GET", path)["status"]["listeners"]}
        conditions = found.get("taken", {"conditions": []})["conditions"]
        return any(c["type"] == "Programmed" and c["status"] == "False" and str(skep.grpc_port) in c["message"]
                   for c in conditions)  # fmt: skip

    soon(told)
    assert status(skep, "/x") == 200
    skep.call("PATCH", path, {"spec": {"listeners": listeners}})
    assert json.dumps(skep.call("GET", path)["spec"]["listeners"]) == json.dumps(listeners)
    soon(lambda: ports_programmed(skep, path) == {"http": "True", "https": "True"})


def ports_programmed(skep: Platform, path: str) -> dict[str, str]:
    return {
        listener["name"]: condition["status"]
        for listener in skep.call("GET", path)["status"]["listeners"]
        for condition in listener["conditions"]
        if condition["type"] == "Programmed"
    }


def test_a_port_that_becomes_free_is_taken_without_being_asked(skep: Platform) -> None:
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/edge"
    listeners = skep.call("GET", path)["spec"]["listeners"]
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        port = occupant.getsockname()[1]
        taken = {"name": "taken", "port": port, "protocol": "HTTP"}
        skep.call("PATCH", path, {"spec": {"listeners": [*listeners, taken]}})
        soon(lambda: ports_programmed(skep, path) == {"http": "True", "https": "True", "taken": "False"})
    soon(lambda: ports_programmed(skep, path)["taken"] == "True", limit_s=15)
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    skep.call("PATCH", path, {"spec": {"listeners": listeners}})


def test_nothing_is_called_programmed_before_a_proxy_has_it_nor_long_after() -> None:
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/edge"
    with server() as running:
        soon(lambda: ports_programmed(running, path) == {"http": "False", "https": "False"})
        with gateway(running):
            soon(lambda: ports_programmed(running, path) == {"http": "True", "https": "True"})
        soon(lambda: ports_programmed(running, path) == {"http": "False", "https": "False"}, limit_s=20)
