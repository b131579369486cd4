import json

import pytest

from bench.report import Bar, render


@pytest.mark.parametrize(
    ("op", "value", "is_held"),
    [
        ("<=", 5, True),
        ("<=", 5.1, False),
        ("<", 5, False),
        (">=", 5, True),
        (">=", 4.9, False),
        (">", 5, False),
        ("==", 5, True),
    ],
)
def test_bar_is_held_by_its_operator(op: str, value: float, is_held: bool) -> None:
    assert Bar("x", value, op, 5).held is is_held


def test_report_is_one_json_object_on_one_line() -> None:
    bars = [Bar("a", 1.23456, "<=", 2), Bar("b", 3, "==", 0)]
    line = render("registry", {"a_per_s": 1.23456, "b_count": 3}, bars)
    assert "\n" not in line
    assert json.loads(line) == {
        "bench": "registry",
        "figures": {"a_per_s": 1.235, "b_count": 3},
        "bars": [
            {"name": "a", "value": 1.235, "op": "<=", "limit": 2, "held": True},
            {"name": "b", "value": 3, "op": "==", "limit": 0, "held": False},
        ],
        "held": False,
    }


def test_report_without_bars_claims_nothing() -> None:
    assert json.loads(render("x", {}, []))["held"] is False
