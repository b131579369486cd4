"""One line of the live table."""

from typing import Any

import pytest

from skep.cli.top import cells, colour, heading
from skep.clients.agent import Traffic


def traffic(**fields: Any) -> Traffic:
    usual: dict[str, Any] = {
        "namespace": "shop", "name": "orders", "kind": "service", "instances": 2, "passing": 1, "requests_per_s": 12.34,
        "success_ratio": 1.0, "p50_ms": 1.26, "p99_ms": 123.4, "requests_total": 9, "window_s": 10.0,
    }  # fmt: skip
    return Traffic(**{**usual, **fields})


def test_a_line_has_a_cell_for_each_heading() -> None:
    assert cells(traffic(), "shop") == ("orders", "1/2", "12.3", "100 %", "1.3 ms", "123 ms")
    assert len(cells(traffic(), "")) == len(heading(""))


@pytest.mark.parametrize(("ratio", "shown"), [(None, "–"), (1.0, "100 %"), (0.99999, "99.99 %"), (0.0, "0.00 %")])
def test_a_hundred_percent_means_that_nothing_failed(ratio: float | None, shown: str) -> None:
    assert cells(traffic(success_ratio=ratio), "shop")[3] == shown


def test_no_calls_no_numbers() -> None:
    assert cells(traffic(success_ratio=None, p50_ms=None, p99_ms=None), "shop")[3:] == ("–", "–", "–")


def test_what_is_below_a_millisecond_is_said_to_be() -> None:
    assert cells(traffic(p50_ms=0.0, p99_ms=0.99), "shop")[4:] == ("< 1 ms", "< 1 ms")


def test_lines_are_red_where_callers_are_failed_and_yellow_where_something_is_amiss() -> None:
    assert colour(traffic(passing=2)) == colour(traffic(passing=2, success_ratio=None)) == ""
    assert colour(traffic(passing=1)) == colour(traffic(passing=2, success_ratio=0.999)) == "yellow"
    assert colour(traffic(passing=0)) == colour(traffic(passing=2, success_ratio=0.98)) == "red"
