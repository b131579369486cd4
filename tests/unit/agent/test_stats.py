"""What Envoy counts, read and compared."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.agent.stats import Reading, add, compare, parse_stats, quantile, stats_path


def document(completed: dict[str, int], bins: list[dict[str, float]]) -> bytes:
    stats: list[dict[str, Any]] = [
        {"name": f"http.inbound.downstream_rq_{status}", "value": count} for status, count in completed.items()
    ]
    details = [{"name": "http.inbound.downstream_rq_time", "totals": bins, "intervals": []}]
    stats.append({"histograms": {"supported_percentiles": [0, 50], "details": details}})
    return msgspec.json.encode({"stats": stats})


def test_reading_has_answers_errors_and_latencies() -> None:
    answer = document(
        {"1xx": 0, "2xx": 5, "4xx": 2, "5xx": 1, "completed": 8},
        [{"lower_bound": 1, "width": 0.1, "count": 6}, {"lower_bound": 20, "width": 1, "count": 2}],
    )
    assert parse_stats("inbound", answer) == Reading(8, 1, {(1.0, 0.1): 6, (20.0, 1.0): 2})


def test_reading_before_the_first_request_is_empty() -> None:
    assert parse_stats("gateway", b'{"stats": []}') == Reading()


def test_path_asks_for_one_side() -> None:
    assert "^http\\.gateway\\." in stats_path("gateway")


def test_compare_gives_what_happened_between() -> None:
    rates = compare(Reading(10, 1, {(1.0, 0.1): 10}), Reading(15, 2, {(1.0, 0.1): 12, (2.0, 0.1): 3}))
    assert (rates.requests, rates.server_errors) == (5, 1)
    assert rates.latency_ms == {(1.0, 0.1): 2, (2.0, 0.1): 3}


def test_envoy_that_started_anew_counts_from_nothing() -> None:
    rates = compare(Reading(100, 9, {(1.0, 0.1): 100}), Reading(4, 1, {(1.0, 0.1): 4}))
    assert (rates.requests, rates.server_errors, rates.latency_ms) == (4, 1, {(1.0, 0.1): 4})


def test_hot_restart_keeps_counters_and_loses_latencies() -> None:
    rates = compare(Reading(100, 0, {(1.0, 0.1): 100}), Reading(110, 0, {(1.0, 0.1): 10}))
    assert (rates.requests, rates.latency_ms) == (10, {(1.0, 0.1): 10})


def test_new_envoy_counts_from_nothing() -> None:
    assert compare(None, Reading(3)).requests == 3


def test_envoys_are_put_together() -> None:
    one, other = compare(None, Reading(3, 1, {(1.0, 0.1): 3})), compare(None, Reading(2, 0, {(1.0, 0.1): 2}))
    both = add([one, other])
    assert (both.requests, both.server_errors, both.latency_ms) == (5, 1, {(1.0, 0.1): 5})


def test_quantiles_lie_within_their_bins() -> None:
    bins = {(1.0, 0.1): 98, (100.0, 10.0): 2}
    assert quantile(bins, 0.5) == pytest.approx(1.05, abs=0.01)
    assert 100.0 <= (quantile(bins, 0.99) or 0) <= 110.0
    assert quantile({}, 0.5) is None


@given(
    st.dictionaries(st.tuples(st.floats(0, 1000), st.floats(0, 10)), st.integers(1, 100), min_size=1, max_size=20),
    st.floats(0, 1),
)
def test_quantile_is_never_outside(bins: dict[tuple[float, float], int], share: float) -> None:
    value = quantile(bins, share)
    assert value is not None
    assert min(lower for lower, _ in bins) <= value <= max(lower + width for lower, width in bins)
