"""Columns: every kind has some, times read as kubectl writes them, and half-written documents break nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.api.kube.columns import COLUMNS, age, columns_of, span
from skep.api.kube.table import Form, form_of, row
from skep.kinds import KINDS, Kind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_kind_has_columns() -> None:
    assert set(COLUMNS) == {kind.resource for kind in KINDS}
    for kind in KINDS:
        names = [column.name for column in columns_of(kind)]
        assert (names[-1] if kind.kind == "Event" else names[0]) == "Name"
        assert names.count("Name") == 1
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (121, "2m1s"), (599, "9m59s"), (600, "10m"),
     (3_600, "60m"), (7_200, "120m"), (10_799, "179m"), (10_800, "3h"), (10_860, "3h1m"), (28_800, "8h"), (86_400, "24h"), (172_800, "2d"),
     (180_000, "2d2h"), (691_200, "8d"), (86_400 * 365, "365d"), (86_400 * 800, "2y70d")],
)  # fmt: skip
def test_spans_read_as_kubectl_writes_them(seconds: int, shown: str) -> None:
    assert span(seconds) == shown


def test_age_of_nothing_is_unknown() -> None:
    assert age(None, NOW) == age("soon", NOW) == age(3, NOW) == "<unknown>"
    assert age("2025-12-31T23:59:00Z", NOW) == "60s"


def test_instance_shows_who_heard_of_it_and_until_when() -> None:
    (kind,) = (kind for kind in KINDS if kind.kind == "Instance")
    lease = {"heardBy": "host-1", "lastHeard": "2025-12-31T23:59:57.000Z", "expires": "2026-01-01T00:00:12.000Z"}
    document = {
        "metadata": {"name": "orders.1", "creationTimestamp": (NOW - timedelta(minutes=5)).isoformat()},
        "spec": {"service": "orders", "address": "::1", "port": 9000},
        "status": {"health": "passing", "lease": lease},
    }
    cells = dict(zip([c.name for c in columns_of(kind)], row(kind, document, NOW, "None")["cells"], strict=True))
    assert cells["Service"] == "orders"
    assert cells["Address"] == "[::1]:9000"
    assert (cells["Health"], cells["Heard"], cells["Expires"], cells["Age"]) == ("passing", "3s ago", "in 12s", "5m")
    assert cells["Heard By"] == "host-1"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.OBJECT),
        ("*/*", Form.OBJECT),
        ("application/json", Form.OBJECT),
        ("application/vnd.kubernetes.protobuf,application/json", Form.OBJECT),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Form.TABLE),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Form.OBJECT),
        ("application/cbor;as=PartialObjectMetadata,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
         Form.METADATA),
    ],
)  # fmt: skip
def test_form_follows_the_accept_header(accept: str, form: Form) -> None:
    assert form_of(accept) is form


names = st.sampled_from(
    ["metadata", "spec", "status", "conditions", "parents", "containerStatuses", "ports", "type", "state", "reason",
     "lease", "expires", "lastHeard", "addresses", "data", "involvedObject", "selector", "hostnames", "parentRefs"]
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
)


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(KINDS), document=st.dictionaries(names, anything))
def test_any_document_has_a_row(kind: Kind, document: dict[str, Any]) -> None:
    cells = row(kind, document, NOW, "Metadata")["cells"]
    assert len(cells) == len(columns_of(kind))
    assert all(cell is None or isinstance(cell, str | int) for cell in cells)
