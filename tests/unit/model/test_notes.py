"""Fields that mean nothing here are named, at every depth, and nothing else is."""

from typing import Any

from pydantic import Field

from skep.model.notes import Note, notes, unhonoured
from skep.model.resource import Record


class Part(Record):
    """A record with one field of each sort."""

    name: str = ""
    limits: Any = Field(default=None, json_schema_extra={"unhonoured": "there are no limits"})
    policy: str = Field(default="", json_schema_extra={"unhonoured_values": {"Never": "it is always done"}})


class Whole(Record):
    """Holds others."""

    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = Field(default_factory=dict)


def test_unknown_and_unhonoured_fields_are_named_at_every_depth() -> None:
    body = Whole.model_validate(
        {
            "parts": [{"name": "a"}, {"colour": "red", "limits": {"cpu": 1}}],
            "byName": {"b": {"policy": "Never"}},
            "shape": "round",
        }
    )
    assert notes(body, "spec") == [
        Note("spec.byName[b].policy", "it is always done"),
        Note("spec.parts[1].colour"),
        Note("spec.parts[1].limits", "there are no limits"),
        Note("spec.shape"),
    ]
    assert unhonoured(body) == [
        Note("byName[b].policy", "it is always done"),
        Note("parts[1].limits", "there are no limits"),
    ]


def test_what_says_nothing_is_not_named() -> None:
    empty: tuple[Any, ...] = (None, {}, [], "")
    for nothing in empty:
        assert notes(Part.model_validate({"limits": nothing, "policy": "Always"})) == []
