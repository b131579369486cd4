"""Hundreds of hostile manifests and calls over HTTP to a real server: a 4xx that says why, nothing half-written, and it goes on."""

import copy
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.control_plane import ControlPlane
from tests.support.local_api import JSON_PATCH, MERGE_PATCH, STRATEGIC, config_map, deployment, http_route, service

CALLS = 700
LIMIT_S = 30.0
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
REGISTRY = "/registry/v1"
Json = Any

GATEWAY: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "door"},
    "spec": {
        "gatewayClassName": "skep",
        "listeners": [
            {"name": "plain", "port": 18_088, "protocol": "HTTP", "hostname": "*.example.com",
             "allowedRoutes": {"namespaces": {"from": "All"}}},
            {"name": "tls", "port": 18_448, "protocol": "HTTPS",
             "tls": {"mode": "Terminate", "certificateRefs": [{"name": "keys"}]}},
        ],
    },
}  # fmt: skip
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "keys"},
    "type": "kubernetes.io/tls",
    "data": {"tls.crt": "YQ==", "tls.key": "YQ=="},
}
GRANT = {
    "apiVersion": "gateway.networking.k8s.io/v1beta1",
    "kind": "ReferenceGrant",
    "metadata": {"name": "grant"},
    "spec": {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}],
        "to": [{"group": "", "kind": "Service", "name": "web"}],
    },
}
GOOD: list[tuple[str, dict[str, Any]]] = [
    (f"{GATEWAY_API}/namespaces/default/httproutes", http_route()),
    (f"{GATEWAY_API}/namespaces/default/gateways", GATEWAY),
    ("/apis/gateway.networking.k8s.io/v1beta1/namespaces/default/referencegrants", GRANT),
    ("/api/v1/namespaces/default/services", service()),
    ("/api/v1/namespaces/default/configmaps", config_map()),
    ("/api/v1/namespaces/default/secrets", SECRET),
    ("/apis/apps/v1/namespaces/default/deployments", deployment()),
]
INSTANCE = {"namespace": "default", "service": "orders", "id": "a", "address": "10.0.0.7", "port": 80}

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
KNOWN = ["../../etc/passwd", "\x00", "a" * 5000, "é", "-", "*", "9" * 300, 2**70, -1, 0, 1e308, "(((", [], {}, [[]]]
HOSTILE = ANYTHING | st.sampled_from(KNOWN)


class Call(msgspec.Struct, frozen=True):
    """One request, and the sort of attack that it is."""

    sort: str
    method: str
    path: str
    body: bytes = b""
    media: str = "application/json"


def places(document: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place below the root of a document."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


@st.composite
def manifests(draw: st.DrawFn) -> Call:
    """A good manifest with one place made hostile; its own name, so that it is not refused as a second one."""
    path, good = draw(st.sampled_from(GOOD))
    document = copy.deepcopy(good)
    document["metadata"]["name"] = f"x{draw(st.integers(0, 10**12))}"
    place = draw(st.sampled_from(sorted(places(document), key=str)))
    parent: Json = document
    for part in place[:-1]:
        parent = parent[part]
    parent[place[-1]] = draw(HOSTILE)
    return Call("manifest", "POST", f"{path}?fieldValidation=Strict", json.dumps(document).encode())


@st.composite
def bodies(draw: st.DrawFn) -> Call:
    path, _ = draw(st.sampled_from(GOOD))
    deep = b'{"a":' * 3_000 + b"1" + b"}" * 3_000
    body = draw(st.binary(max_size=200) | HOSTILE.map(lambda value: json.dumps(value).encode()) | st.just(deep))
    media = draw(st.sampled_from(["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "x"]))
    method = draw(st.sampled_from(["POST", "PUT"]))
    return Call("body", method, path if method == "POST" else f"{path}/there", body, media)


@st.composite
def patches(draw: st.DrawFn) -> Call:
    path, _ = draw(st.sampled_from(GOOD))
    paths = ["", "/", "/spec", "/spec/rules/0", "/metadata/name", "/metadata/uid", "/a/b", "x", "/spec/ports/01"]
    operation = st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
         "path": st.sampled_from(paths), "value": HOSTILE, "from": st.sampled_from(paths)}
    )  # fmt: skip
    body = draw(HOSTILE | st.lists(operation, min_size=1, max_size=3))
    media = draw(st.sampled_from([JSON_PATCH, MERGE_PATCH, STRATEGIC, "application/apply-patch+yaml", "text/plain"]))
    sub = draw(st.sampled_from(["", "/status", "/scale"]))
    return Call("patch", "PATCH", f"{path}/there{sub}", json.dumps(body).encode(), media)


@st.composite
def queries(draw: st.DrawFn) -> Call:
    names = ["labelSelector", "fieldSelector", "resourceVersion", "limit", "continue", "dryRun", "timeoutSeconds",
             "fieldValidation", "resourceVersionMatch", "includeObject"]  # fmt: skip
    values = st.text(max_size=30) | st.sampled_from(["a in (b", "a=b,", "!", "((((", "spec.x=1", "99999999999"])
    query = draw(st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3))
    path, _ = draw(st.sampled_from(GOOD))
    text = httpx.QueryParams({name: value.encode("utf-8", "replace").decode() for name, value in query.items()})
    return Call("query", "GET", f"{path}?{text}")


@st.composite
def registrations(draw: st.DrawFn) -> Call:
    fields = [*INSTANCE, "labels", "health", "weight", "leaseSeconds", "targetPort", "zone", "source", "x"]
    item = st.dictionaries(st.sampled_from(fields), HOSTILE, min_size=1).map(lambda changes: INSTANCE | changes)
    single = draw(st.booleans())
    if single:
        name = draw(st.sampled_from(["a", "..", "%00", "a" * 300, "%C3%A9", "a%20b", "%2F"]))
        sub = draw(st.sampled_from(["", "/lease", "/x"]))
        path = f"{REGISTRY}/namespaces/default/services/orders/instances/{name}{sub}"
        method = draw(st.sampled_from(["PUT", "DELETE", "PATCH", "GET"]))
        return Call("registry", method, path, json.dumps(draw(item | HOSTILE)).encode())
    batch = draw(st.lists(item | st.just(INSTANCE) | HOSTILE, max_size=4).map(lambda items: {"instances": items}))
    verb = draw(st.sampled_from(["instances", "leases", "deregistrations", "x"]))
    return Call("registry", "POST", f"{REGISTRY}/{verb}", json.dumps(draw(st.just(batch) | HOSTILE)).encode())


class Attacked:
    """The server under attack, what is in it, and how it answered."""

    def __init__(self, server: ControlPlane, client: httpx.Client) -> None:
        self.client = client
        self.server = server
        self.answers: Counter[tuple[str, bool]] = Counter()

    def kept(self, path: str) -> Json:
        """What a collection holds, without what the server itself keeps writing: statuses and revisions."""
        if path.startswith(REGISTRY):
            return [
                {name: value for name, value in one.items() if name not in ("lease", "health")}
                for one in self.client.get(f"{REGISTRY}/instances").raise_for_status().json()["instances"]
            ]
        collection = next(known for known, _ in GOOD if path.startswith(known))
        items = self.client.get(collection).raise_for_status().json()["items"]
        for item in items:
            item.pop("status", None)
            del item["metadata"]["resourceVersion"]
        return items

    def send(self, call: Call) -> None:
        before = self.kept(call.path) if call.method != "GET" else None
        headers = {"content-type": call.media}
        answer = self.client.request(call.method, call.path, content=call.body or None, headers=headers)
        assert answer.status_code < 500, (call, answer.text)
        refused = answer.status_code >= 400
        self.answers[call.sort, refused] += 1
        if not refused:
            return
        status = answer.json()
        assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", answer.status_code), call
        assert status["message"], call
        if status["reason"] == "Invalid":
            assert status["details"]["causes"], call
            for cause in status["details"]["causes"]:
                assert cause["field"], call
                assert cause["field"] in status["message"], call
        if before is not None:
            assert self.kept(call.path) == before, call


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Attacked]:
    with ControlPlane(tmp_path / "data") as server:
        headers = {"authorization": f"Bearer {server.token('admin')}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=LIMIT_S) as client:
            for path, good in GOOD:
                document = copy.deepcopy(good)
                document["metadata"]["name"] = "there"
                client.post(path, json=document).raise_for_status()
            yield Attacked(server, client)


def test_hostile_manifests_and_calls_are_refused_and_the_server_goes_on(attacked: Attacked) -> None:
    @settings(max_examples=CALLS, deadline=None, suppress_health_check=list(HealthCheck))
    @given(manifests() | bodies() | patches() | queries() | registrations())
    def attack(call: Call) -> None:
        attacked.send(call)

    attack()

    refused = {sort: count for (sort, was_refused), count in attacked.answers.items() if was_refused}
    assert attacked.answers.total() >= 500
    assert set(refused) == {"manifest", "body", "patch", "query", "registry"}
    assert min(refused.values()) >= 20, refused
    assert attacked.answers["manifest", False] > 0, "no manifest was taken: then none was refused for its hostile place"
    # Whatever of it was taken: the pipeline still compiles, and tells a new route how it fares.
    path, good = GOOD[0]
    route = copy.deepcopy(good)
    route["metadata"]["name"] = "afterwards"
    attacked.client.post(path, json=route).raise_for_status()
    deadline = time.perf_counter() + LIMIT_S
    while not attacked.client.get(f"{path}/afterwards").json().get("status", {}).get("parents"):
        assert time.perf_counter() < deadline, "the new route has no status"
        time.sleep(0.05)
    log = (attacked.server.data_dir / "server.log").read_text()
    assert "Traceback" not in log, log[-3000:]
