"""One platform with echoing services, and the two ways a call enters: at the Gateway `edge`, and at a sidecar of the mesh."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.platform import Platform, platform, registration
from tests.support.echo import Echo, echo

GATEWAY = "/apis/gateway.networking.k8s.io/v1/namespaces"
GRANTS = "/apis/gateway.networking.k8s.io/v1beta1/namespaces"
FRONT = {"group": "", "kind": "Service", "name": "front"}
_CALLER = (
    "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(os.environ['http_proxy']); time.sleep(3600)"
)


@dataclass(frozen=True)
class Answer:
    """What a caller got."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    took_s: float

    @property
    def saw(self) -> dict[str, Any]:
        """What the service saw."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def app(self) -> str:
        """Which service answered; empty when none did."""
        return str(self.saw["app"]) if self.status == 200 and self.body.startswith(b"{") else ""


def call(port: int, path: str = "/", method: str = "GET", host: str = "front", **headers: str) -> Answer:
    """Send one request; `x_a="1"` is the header `x-a: 1`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        started = time.perf_counter()
        connection.request(method, path, headers={"host": host, **sent})
        got = connection.getresponse()
        return Answer(got.status, got.headers, got.read(), time.perf_counter() - started)
    finally:
        connection.close()


def soon(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Wait until something holds."""
    deadline = time.perf_counter() + limit_s
    while not holds():
        assert time.perf_counter() < deadline, "it did not come true in time"
        time.sleep(0.01)


@dataclass
class World:
    """A running platform, its services, and where calls enter the mesh."""

    skep: Platform
    apps: Mapping[str, Echo]
    outbound: int
    made: list[str] = field(default_factory=list)

    def create(self, collection: str, document: Mapping[str, Any]) -> str:
        """Create an object that `clean` deletes; returns its path."""
        self.skep.call("POST", collection, document)
        path = f"{collection}/{document['metadata']['name']}"
        self.made.append(path)
        return path

    def clean(self) -> None:
        """Delete what was created, last first."""
        while self.made:
            self.skep.call("DELETE", self.made.pop())

    def conditions(self, path: str, kind: str = "parents") -> dict[str, tuple[str, str]]:
        """Return the conditions of a route's first parent or a Gateway's (`kind=""`), as status and reason."""
        status = self.skep.call("GET", path).get("status", {})
        holder = (status.get(kind) or [{}])[0] if kind else status
        return {item["type"]: (item["status"], item["reason"]) for item in holder.get("conditions", ())}


@dataclass(frozen=True)
class Entrance:
    """One of the two ways in; a route is declared for it and called through it."""

    world: World
    name: str

    @property
    def port(self) -> int:
        """Where calls enter."""
        return self.world.skep.gateway_port if self.name == "gateway" else self.world.outbound

    def route(self, *rules: Mapping[str, Any], name: str = "under-test", namespace: str = "default") -> str:
        """Declare a route with these rules; returns its path."""
        parent = {"name": "edge"} if self.name == "gateway" else FRONT
        hostnames = {"hostnames": ["front"]} if self.name == "gateway" else {}
        document = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"parentRefs": [parent], "rules": list(rules), **hostnames},
        }
        return self.world.create(f"{GATEWAY}/{namespace}/httproutes", document)

    def __call__(self, path: str = "/", method: str = "GET", host: str = "front", **headers: str) -> Answer:
        """Send one request."""
        return call(self.port, path, method, host, **headers)


def to(app: str, **more: Any) -> dict[str, Any]:
    """Return a backend reference."""
    return {"name": app, "port": 80, **more}


def rule(*apps: str, **more: Any) -> dict[str, Any]:
    """Return a rule that sends to these services."""
    return {"backendRefs": [to(app) for app in apps], **more}


@contextmanager
def world(*names: str) -> Iterator[World]:
    """Run a platform with these services, and `front`, which routes of the mesh are declared for."""
    with ExitStack() as stack:
        apps = {name: stack.enter_context(echo(name)) for name in ("front", *names)}
        skep = stack.enter_context(platform("up"))
        instances = [registration("default", name, 1, app.port) for name, app in apps.items()]
        skep.call("POST", "/registry/v1/instances", {"instances": instances})
        told = skep.folder / "outbound"
        command = [str(Path(sys.executable).with_name("skep")), "run", "--service", "caller", "--probe", "none", "--"]
        with (skep.folder / "caller.log").open("wb") as log:
            run = subprocess.Popen(
                [*command, sys.executable, "-c", _CALLER, str(told)], env=skep.env, stdout=log, stderr=log
            )
        try:
            soon(lambda: told.exists() and bool(told.read_text()), 30)
            found = World(skep, apps, urlsplit(told.read_text()).port or 0)
            soon(lambda: call(found.outbound).app == "front")
            soon(lambda: listens(found.skep.gateway_port))
            yield found
        finally:
            run.terminate()
            run.wait(20)


def listens(port: int) -> bool:
    """Tell whether something answers on a port."""
    try:
        call(port)
    except OSError:
        return False
    return True
