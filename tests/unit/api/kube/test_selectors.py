"""Selectors: what Kubernetes accepts means the same here, and everything else is refused."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.api.kube.selectors import FIELDS, parse_fields, parse_labels, parse_selector
from skep.errors import Invalid
from skep.kinds import kind_for_resource

LABELS = {"app": "web", "tier": "front", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        (" app = web , tier=front ", True),
        ("app=web,tier=back", False),
        ("app!=web", False),
        ("missing!=x", True),
        ("app in (web, shop)", True),
        ("app in (shop)", False),
        ("app notin (shop,web)", False),
        ("missing notin (a)", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("! app", False),
        ("empty=", True),
        ("app=", False),
        ("skep.dev/service", False),
        ("in=x", False),
    ],
)
def test_label_selector_matches_as_kubernetes_does(text: str, matches: bool) -> None:
    assert all(term.matches(LABELS) for term in parse_labels(text)) is matches


@pytest.mark.parametrize(
    "text", ["a in (b", "a=b,", ",a=b", "a=b=c", "!", "a in b", "a (b)", "a b", "a in (b))", "-a=b", "a=-b", "a=b c", "!a=b", "x" * 20_000]
)  # fmt: skip
def test_malformed_label_selector_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="labelSelector"):
        parse_labels(text)


def test_field_selector_reads_what_the_resource_knows() -> None:
    event = {"involvedObject": {"name": "web"}, "metadata": {"name": "e", "namespace": "shop"}}
    assert parse_selector("events", "", "involvedObject.name=web,metadata.namespace!=x").matches(event)
    assert not parse_selector("events", "", "involvedObject.name==other").matches(event)
    assert parse_selector("events", "", "involvedObject.uid=").matches(event)
    for wrong in ("spec.colour=red", "name", "involvedObject=web"):
        with pytest.raises(Invalid, match="fieldSelector"):
            parse_fields("events", wrong)
    with pytest.raises(Invalid, match=r"status\.phase"):
        parse_fields("services", "status.phase=Running")


def test_selectable_fields_belong_to_kinds_that_exist() -> None:
    assert all(kind_for_resource(resource) is not None for resource in FIELDS)


@settings(max_examples=500, deadline=None)
@given(text=st.text(max_size=60) | st.text("ab=!,() inot", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse_labels, lambda fields: parse_fields("pods", fields)):
        with contextlib.suppress(Invalid):
            assert isinstance(read(text), list)
