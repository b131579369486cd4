"""Whatever is sent, the answer is a 4xx `Status` that names the place, and nothing is half written."""

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from skep.auth.policy import Role
from skep.kinds import KINDS
from tests.support.local_api import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC,
    LocalApi,
    config_map,
    deployment,
    http_route,
    local_api,
    service,
)

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
GATEWAYS = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways"
GOOD = [(ROUTES, http_route()), (SERVICES, service()), (DEPLOYMENTS, deployment()), (CONFIG_MAPS, config_map())]
SOME = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
LENIENT = settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
hostile = st.one_of(
    anything,
    st.sampled_from(["../../etc/passwd", "\x00", "a" * 5000, "ä", "-", "1" * 300, 2**70, -(2**70), 1e308, [[]], {}]),
)


@pytest.fixture(scope="module")
def api() -> Iterator[LocalApi]:
    with local_api() as opened:
        for path, document in GOOD:
            named = copy.deepcopy(document)
            named["metadata"]["name"] = "there"
            opened.create(path, named)
        yield opened


def places(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place below the root of a document."""
    items: Any = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def assert_refused(api: LocalApi, response: Any, before: int) -> dict[str, Any]:
    status: dict[str, Any] = response.json()
    assert 400 <= response.status_code < 500, response.text
    assert status["kind"] == "Status", status
    assert status["status"] == "Failure"
    assert status["code"] == response.status_code
    assert status["message"]
    assert status["reason"]
    assert api.revision == before
    return status


@LENIENT
@given(data=st.data())
def test_a_manifest_with_anything_anywhere_is_taken_whole_or_refused_by_path(
    api: LocalApi, data: st.DataObject
) -> None:
    path, good = data.draw(st.sampled_from(GOOD))
    document: Any = copy.deepcopy(good)
    place = data.draw(st.sampled_from(sorted(places(document), key=str)))
    parent = document
    for part in place[:-1]:
        parent = parent[part]
    parent[place[-1]] = data.draw(hostile)
    before = api.revision
    response = api.call("POST", f"{path}?fieldValidation=Strict", json.dumps(document).encode())
    if response.status_code == 201:
        assert api.revision == before + 1
        name = response.json()["metadata"]["name"]
        assert api.call("GET", f"{path}/{name}").json() == response.json()
        assert api.call("DELETE", f"{path}/{name}").status_code == 200
        return
    status = assert_refused(api, response, before)
    if status["reason"] == "Invalid":
        assert status["details"]["causes"]
        for cause in status["details"]["causes"]:
            assert cause["field"]
            assert cause["field"] in status["message"]


@SOME
@given(
    body=st.binary(max_size=200) | hostile.map(lambda value: json.dumps(value).encode()),
    method=st.sampled_from(["POST", "PUT"]),
    data=st.data(),
)
def test_a_body_of_any_bytes_is_refused(api: LocalApi, body: bytes, method: str, data: st.DataObject) -> None:
    before = api.revision
    path, _ = data.draw(st.sampled_from(GOOD))
    media = data.draw(st.sampled_from(["application/json", "application/yaml", ""]))
    assert_refused(api, api.call(method, path if method == "POST" else f"{path}/there", body, media=media), before)


@SOME
@given(body=st.binary(max_size=120), envelope=st.booleans(), kind=st.sampled_from([kind.kind for kind in KINDS]))
def test_protobuf_of_any_bytes_is_refused(api: LocalApi, body: bytes, envelope: bool, kind: str) -> None:
    before = api.revision
    if envelope:
        names = b"\x0a\x02v1\x12" + bytes([len(kind)]) + kind.encode()
        body = b"k8s\x00\x0a" + bytes([len(names)]) + names + b"\x12" + bytes([len(body)]) + body
    response = api.call("POST", CONFIG_MAPS, body, media="application/vnd.kubernetes.protobuf")
    assert_refused(api, response, before)


@SOME
@given(
    patch=hostile | st.lists(st.fixed_dictionaries({
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
        "path": st.sampled_from(["", "/", "/spec", "/spec/rules/0", "/spec/rules/-", "/metadata/name", "/a/b", "x", "/spec/ports/01"]),
    }, optional={"value": hostile, "from": st.sampled_from(["", "/spec", "/spec/rules", "/nope"])}), max_size=3),
    media=st.sampled_from([JSON_PATCH, MERGE_PATCH, STRATEGIC, "text/plain", "application/apply-patch+yaml"]),
    target=st.sampled_from([f"{path}/there{sub}" for path, _ in GOOD for sub in ("", "/status", "/scale")]),
)  # fmt: skip
def test_a_patch_of_anything_changes_all_or_nothing(api: LocalApi, patch: Any, media: str, target: str) -> None:
    before = api.revision
    response = api.call("PATCH", target, json.dumps(patch).encode(), media=media)
    if response.status_code == 200:
        assert api.revision in (before, before + 1)
        return
    assert_refused(api, response, before)


@SOME
@given(query=st.dictionaries(
    st.sampled_from(["labelSelector", "fieldSelector", "resourceVersion", "limit", "continue", "dryRun", "watch",
                     "timeoutSeconds", "fieldValidation", "resourceVersionMatch", "includeObject"]),
    st.text(max_size=30) | st.sampled_from(["a in (b", "a=b,", "!", "a==", "((((", "metadata.name=x", "spec.x=1"]),
    max_size=3,
))  # fmt: skip
def test_a_query_of_anything_lists_or_is_refused(api: LocalApi, query: dict[str, str]) -> None:
    assume(query.get("watch") not in ("true", "1", "t", "True"))
    before = api.revision
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    for accept in ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"):
        response = api.call("GET", f"{ROUTES}?{text}", headers={"accept": accept})
        if response.status_code != 200:
            assert_refused(api, response, before)


@SOME
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]),
    parts=st.lists(
        st.sampled_from(["api", "apis", "v1", "apps", "namespaces", "default", "services", "pods", "status", "log",
                         "gateway.networking.k8s.io", "httproutes", "there", "x", "scale", "skep.dev", "instances",
                         "v1alpha1", "openapi", "v3", ""])
        | st.text(max_size=8).map(lambda text: quote(text, safe="")),
        max_size=8,
    ),
    role=st.sampled_from([Role.AGENT, None]),
)  # fmt: skip
def test_a_path_of_anything_is_answered_or_refused(
    api: LocalApi, method: str, parts: list[str], role: Role | None
) -> None:
    before = api.revision
    response = api.call(method, "http://skep/" + "/".join(parts), role=role)
    if role is None:
        assert response.status_code == 401
    if response.status_code not in (200, 503):
        assert 400 <= response.status_code < 500, response.text
        assert response.json()["kind"] == "Status"
    assert api.revision == before


@pytest.mark.parametrize(
    ("body", "media", "code"),
    [
        (b"{" + b'"a":{' * 200 + b"}" * 201, "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "application/json", 400),
        (b'"' + b"a" * (3 * 1024 * 1024) + b'"', "application/json", 413),
        (b'{"metadata":{"name":"\\ud800"}}', "application/json", 400),
        (b"a: &a [x]\nb: [*a, *a]", "application/yaml", 400),
        (b"a: !!python/object/apply:os.system [ls]", "application/yaml", 400),
        (b"? [1]\n: 2", "application/yaml", 400),
        (b"a: 1\n---\nb: 2", "application/yaml", 400),
        (b"<xml/>", "application/xml", 415),
        (b"\xff\xfe", "application/json", 400),
        (b"", "application/json", 400),
    ],
)
def test_known_attacks_are_refused(api: LocalApi, body: bytes, media: str, code: int) -> None:
    before = api.revision
    response = api.call("POST", CONFIG_MAPS, body, media=media)
    assert assert_refused(api, response, before)["code"] == code


def test_copies_of_copies_do_not_grow_without_end(api: LocalApi) -> None:
    before = api.revision
    patch = [{"op": "copy", "from": "/data", "path": f"/data/k{n}"} for n in range(60)]
    response = api.call("PATCH", f"{CONFIG_MAPS}/there", patch, media=JSON_PATCH)
    assert_refused(api, response, before)
