"""What references and selectors may look like, and which labels a selector selects."""

import pytest

from skep.routing.reference import (
    LabelSelector,
    check_group_kind,
    check_labels,
    check_namespace,
    check_section,
    check_selector,
    check_unique,
)


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [
        ("In", ["shop", "web"], True),
        ("NotIn", ["shop"], False),
        ("NotIn", ["web"], True),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_expressions_select(operator: str, values: list[str], selected: bool) -> None:
    selector = LabelSelector.model_validate(
        {"matchExpressions": [{"key": "team", "operator": operator, "values": values}]}
    )
    assert check_selector("x", selector) == []
    assert selector.selects({"team": "shop"}) is selected


def test_all_labels_are_needed() -> None:
    selector = LabelSelector.model_validate({"matchLabels": {"team": "shop", "zone": "a"}})
    assert selector.selects({"team": "shop", "zone": "a", "x": "y"})
    assert not selector.selects({"team": "shop"})
    assert LabelSelector().selects({})


def test_every_mistake_of_a_selector_is_named() -> None:
    selector = LabelSelector.model_validate(
        {
            "matchLabels": {"bad key": "ok", "ok": "bad value"},
            "matchExpressions": [
                {"key": "", "operator": "In"},
                {"key": "a", "operator": "Exists", "values": ["b c"]},
            ],
        }
    )
    assert [violation.path for violation in check_selector("s", selector)] == [
        "s.matchLabels[bad key]",
        "s.matchLabels[ok]",
        "s.matchExpressions[0].key",
        "s.matchExpressions[0].values",
        "s.matchExpressions[1].values",
        "s.matchExpressions[1].values[0]",
    ]


def test_parts_of_references() -> None:
    assert check_group_kind("r", "", "Service") == []
    assert [violation.path for violation in check_group_kind("r", "Bad_Group", "1Kind")] == ["r.group", "r.kind"]
    assert check_namespace("r", None) == check_namespace("r", "shop") == []
    assert check_namespace("r", "Shop")
    assert check_section("r", None) == check_section("r", "http") == []
    assert check_section("r", "")
    assert check_labels("r", {"a": "b"}) == []


def test_the_later_of_two_equal_values_is_named() -> None:
    assert [violation.path for violation in check_unique([("a", 1), ("b", 2), ("c", 1)], "it")] == ["c"]
