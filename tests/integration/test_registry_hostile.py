"""Whatever is sent to the registry's API: an answer below 500 that says why, and nothing half-written."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import httpx
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skep.api.app import build_app
from skep.auth.policy import Role
from skep.auth.tokens import load_token
from tests.support.api_server import open_parts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
GOOD = {"namespace": "default", "service": "orders", "id": "a", "address": "10.0.0.7", "port": 80}
ITEM = st.dictionaries(
    st.sampled_from([*GOOD, "labels", "health", "weight", "leaseSeconds", "targetPort", "zone", "source", "x"]), JSON
).map(lambda changes: GOOD | changes)
BATCH = st.lists(ITEM | JSON | st.just(GOOD), max_size=4).map(lambda items: {"instances": items})
NAME = st.text(max_size=12) | st.sampled_from(["default", "..", "%00", "a" * 300, "é", "\x00", "a b"])
CALL = st.one_of(
    st.tuples(
        st.just("POST"), st.sampled_from(["instances", "leases", "deregistrations", "x"]), BATCH | JSON, st.just({})
    ),
    st.tuples(
        st.sampled_from(["GET", "PUT", "DELETE", "PATCH"]),
        st.tuples(NAME, NAME, NAME, st.sampled_from(["", "/lease", "/x"])).map(
            lambda n: f"namespaces/{_quoted(n[0])}/services/{_quoted(n[1])}/instances/{_quoted(n[2])}{n[3]}"
        ),
        ITEM | JSON,
        st.just({}),
    ),
    st.tuples(
        st.just("GET"),
        st.just("instances"),
        st.none(),
        st.dictionaries(st.sampled_from(["namespace", "service", "labelSelector", "health", "y"]), NAME),
    ),
)


def _quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CALL, min_size=1, max_size=4))
def test_no_call_fails_the_server_and_no_refused_call_writes(calls: list[tuple[str, str, Any, dict[str, str]]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            parts = await open_parts(Path(folder))
            assert parts.registry is not None
            token = load_token(Path(folder), Role.AGENT)
            transport = httpx.ASGITransport(build_app(parts))
            headers = {"authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://skep.test", headers=headers) as client:
                for method, path, body, params in calls:
                    before = parts.store.revision.value
                    answer = await client.request(method, f"/registry/v1/{path}", content=_encoded(body), params=params)
                    assert answer.status_code < 500, (method, path, body, answer.text)
                    if answer.status_code >= 400:
                        assert answer.json()["kind"] == "Status"
                        assert answer.json()["message"]
                        assert parts.store.revision.value == before
                    stored = parts.store.list("instances.skep.dev")[0]
                    assert len(stored) == len(parts.registry.instances())

    asyncio.run(run())


def _encoded(body: object) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # a lone surrogate, which JSON cannot hold
        return b'"\xed\xa0\x80"'
