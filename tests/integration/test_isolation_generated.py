"""Arbitrary good routes and arbitrary bad objects, with a real Envoy in the loop: no bad one changes a good one's answer.

After each bad object a marker route is written: when it answers, the proxy has all that was declared before it.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.backend import envoy
from bench.platform import Platform, free_ports, platform, registration
from skep.model.names import Namespace
from skep.model.node import Address, GatewayNode
from skep.xds.bootstrap import bootstrap
from tests.support.echo import echo
from tests.support.entrance import GATEWAY, call, soon

ROUTES = f"{GATEWAY}/default/httproutes"
GATEWAYS = f"{GATEWAY}/default/gateways"
TOO_LARGE = "/[a-z]{200}[0-9]{200}[A-Z]{200}"
PATHS = ("/a", "/a/b", "/c", "/c/d/e", "/f")

Document = dict[str, Any]
numbers = itertools.count()


@pytest.fixture(scope="module")
def skep() -> Iterator[Platform]:
    with echo("app") as app, platform("server") as running:
        running.call("POST", "/registry/v1/instances", {"instances": [registration("default", "app", 1, app.port)]})
        with strict_gateway(running):
            yield running


@contextmanager
def strict_gateway(running: Platform) -> Iterator[None]:
    """Run the Envoy of `edge`; it refuses large regular expressions, which validation lets through."""
    (admin,) = free_ports(1)
    node, xds = GatewayNode(Namespace("default"), "edge"), Address("127.0.0.1", running.grpc_port)
    config = bootstrap(node, xds, running.token("agent"), Address("127.0.0.1", admin))
    layer = {"name": "strict", "static_layer": {"re2.max_program_size.error_level": 100}}
    with envoy(config | {"layered_runtime": {"layers": [layer]}}, f"http://127.0.0.1:{admin}/ready"):
        yield


def route(rule: Document, **spec: Any) -> Document:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"route-{next(numbers)}", "namespace": "default"},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [rule], **spec},
    }


TO_APP = {"backendRefs": [{"name": "app", "port": 80}]}
_changes = st.sampled_from(
    [
        TO_APP,
        TO_APP | {"timeouts": {"request": "5s"}},
        TO_APP
        | {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}]},
        TO_APP | {"filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "inner.example"}}]},
        {"filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "other.example", "statusCode": 301}}]},
        {"backendRefs": [{"name": "app", "port": 80, "weight": 1}, {"name": "app", "port": 80, "weight": 2}]},
    ]
)  # fmt: skip
_hostnames = st.sampled_from([None, ["one.example"], ["*.example"], ["two.example", "one.example"]])


def _with_path(change: Document, path: str, kind: str, hostnames: list[str] | None) -> Document:
    rule = change | {"matches": [{"path": {"type": kind, "value": path}}]}
    return route(rule, **({"hostnames": hostnames} if hostnames else {}))


good_routes = st.lists(
    st.builds(_with_path, _changes, st.sampled_from(PATHS), st.sampled_from(["Exact", "PathPrefix"]), _hostnames),
    min_size=2,
    max_size=6,
)
_broken_rules = st.sampled_from(
    [
        {"backendRefs": [{"name": "nobody", "port": 80}]},
        {"backendRefs": [{"name": "app", "port": 81}]},
        {"backendRefs": [{"name": "app", "port": 80, "namespace": "elsewhere"}]},
        {"backendRefs": [{"name": "app", "kind": "Bucket", "group": "example.com"}]},
        TO_APP | {"filters": [{"type": "ExtensionRef", "extensionRef": {"group": "a.example", "kind": "X", "name": "x"}}]},
        TO_APP | {"filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "nobody", "port": 1}}}]},
        {"backendRefs": [{"name": "unresolvable", "port": 80}]},
        {"backendRefs": [{"name": "encrypted", "port": 443}]},
        TO_APP | {"timeouts": {"request": "1s", "backendRequest": "2s"}},
        TO_APP | {"filters": [{"type": "URLRewrite"}]},
    ]
)  # fmt: skip
# None of them may win by the rules of precedence: equal ones lose to older ones.
_bad_paths = st.sampled_from(
    [
        {"type": "PathPrefix", "value": "/bad"},
        {"type": "PathPrefix", "value": "/a"},
        {"type": "RegularExpression", "value": TOO_LARGE},
        {"type": "RegularExpression", "value": "("},
        {"type": "PathPrefix", "value": "no slash"},
    ]
)
_bad_parents = st.sampled_from([[{"name": "edge"}], [{"name": "edge", "sectionName": "none"}], [{"name": "gone"}]])
_bad_routes = st.builds(
    lambda rule, path, parents, hostnames: route(
        rule | {"matches": [{"path": path}]},
        parentRefs=parents,
        **({"hostnames": hostnames} if hostnames else {}),
    ),
    _broken_rules,
    _bad_paths,
    _bad_parents,
    st.sampled_from([None, ["bad.example"]]),
)
_bad_listeners = st.sampled_from(
    [
        {"protocol": "TCP", "port": 7},
        {"protocol": "HTTPS", "port": 7, "tls": {"certificateRefs": [{"name": "gone"}]}},
        {"protocol": "HTTPS", "port": 7, "tls": {"certificateRefs": [{"name": "bad-tls"}]}},
        {"protocol": "HTTPS", "port": 7, "tls": {"certificateRefs": [{"name": "x", "namespace": "elsewhere"}]}},
        {"protocol": "HTTP", "port": -1},
        {"protocol": "HTTP", "port": 0},
    ]
)
bad_objects = st.lists(st.one_of(_bad_routes, _bad_routes, _bad_listeners), min_size=1, max_size=6)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # each example costs a second: none is made smaller
    suppress_health_check=list(HealthCheck),
)
@given(good=good_routes, bad=bad_objects)
def test_no_bad_object_changes_the_answer_of_a_good_route(
    skep: Platform, good: list[Document], bad: list[Document]
) -> None:
    made: list[str] = []
    original = skep.call("GET", f"{GATEWAYS}/edge")["spec"]["listeners"]
    try:
        for document in (*surroundings(), *good):
            write(skep, document, made, must=True)
        settle(skep, made)
        before = {asked: answer for asked, answer in answers(skep).items() if answer[0] != 404}
        assert before
        for thing in bad:
            spoil(skep, thing, original, made)
            settle(skep, made)
            now = answers(skep)
            assert {asked: now[asked] for asked in before} == before, thing
    finally:
        skep.call("PATCH", f"{GATEWAYS}/edge", {"spec": {"listeners": original}})
        for path in reversed(made):
            skep.call("DELETE", path)


def surroundings() -> Iterator[Document]:
    """What some of the bad objects refer to."""
    for name, spec in (
        ("unresolvable", {"type": "ExternalName", "externalName": "no.such.name.invalid"}),
        ("encrypted", {"selector": {"a": "b"}, "ports": [{"port": 443, "appProtocol": "https"}]}),
    ):
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bad-tls", "namespace": "default"},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": "bm8=", "tls.key": "bm8="},
    }


def spoil(skep: Platform, thing: Document, listeners: list[Document], made: list[str]) -> None:
    """Declare something bad: a route, or a listener, on `edge` itself and on a Gateway of its own where `edge` is."""
    if "kind" in thing:
        write(skep, thing, made)
        return
    patched = {"spec": {"listeners": [*listeners, thing | {"name": "bad"}]}}
    attempt(skep, "PATCH", f"{GATEWAYS}/edge", patched)
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": f"rival-{next(numbers)}", "namespace": "default"},
        "spec": {
            "gatewayClassName": "skep",
            "addresses": [{"type": "IPAddress", "value": "127.0.0.1"}],
            "listeners": [thing | {"name": "bad"}, {"name": "same", "protocol": "HTTP", "port": skep.gateway_port}],
        },
    }
    write(skep, gateway, made)


def write(skep: Platform, document: Document, made: list[str], *, must: bool = False) -> None:
    collections = {"HTTPRoute": ROUTES, "Gateway": GATEWAYS}
    collection = collections.get(document["kind"], f"/api/v1/namespaces/default/{document['kind'].lower()}s")
    if attempt(skep, "POST", collection, document):
        made.append(f"{collection}/{document['metadata']['name']}")
    else:
        assert not must, document


def attempt(skep: Platform, method: str, path: str, body: Document) -> bool:
    """Try a write; False when it was refused as invalid."""
    try:
        skep.call(method, path, body)
    except RuntimeError as error:
        if ": 422 " not in str(error):
            raise
        return False
    return True


def settle(skep: Platform, made: list[str]) -> None:
    """Wait until the proxy has all that was declared so far."""
    path = f"/marker-{next(numbers)}"
    write(skep, route(TO_APP | {"matches": [{"path": {"type": "Exact", "value": path}}]}), made, must=True)
    soon(lambda: ask(skep, path, "marker.test")[0] == 200)


def answers(skep: Platform) -> Mapping[tuple[str, str], tuple[Any, ...]]:
    hosts = ("one.example", "two.example", "three.example", "other.test")
    return {(host, path): ask(skep, path, host) for host in hosts for path in (*PATHS, "/a/x", "/c/d", "/bad", "/none")}


def ask(skep: Platform, path: str, host: str) -> tuple[Any, ...]:
    try:
        answer = call(skep.gateway_port, path, host=host)
    except OSError as error:
        return 0, repr(error)
    if not answer.body.startswith(b"{"):
        return answer.status, answer.headers["location"]
    saw = json.loads(answer.body)
    return answer.status, saw["path"], saw["headers"]["host"], saw["headers"].get("x")
