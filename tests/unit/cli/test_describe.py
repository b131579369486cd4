"""An object for people."""

from typing import Any

from skep.cli.apply import LAST_APPLIED
from skep.cli.describe import render

ROUTE: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {
        "name": "hello",
        "namespace": "shop",
        "labels": {"b": "2", "a": "1"},
        "annotations": {LAST_APPLIED: "{}"},
    },
    "spec": {"hostnames": ["x"]},
    "status": {
        "parents": [
            {
                "parentRef": {"kind": "Gateway", "name": "edge", "sectionName": "http"},
                "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "fine"}],
            }
        ]
    },
}


def test_conditions_are_tables_wherever_they_are() -> None:
    text = render(ROUTE)
    assert "Conditions (parent Gateway/edge, http):\n  TYPE       STATUS   REASON     MESSAGE\n" in text
    assert "  Accepted   True     Accepted   fine" in text
    assert "Labels:       a=1\n              b=2\n" in text
    assert "Annotations:  <none>" in text, "what apply keeps for itself is not shown"


def test_a_secret_is_not_told() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}}
    text = render(secret)
    assert "password: 7 bytes" in text
    assert "aHVudGVyMg" not in text


def test_events_are_listed() -> None:
    event = {"type": "Warning", "reason": "Died", "message": "it ended", "count": 3, "lastTimestamp": "t"}
    assert "  Warning   Died     t           3              it ended" in render(ROUTE, [event])
