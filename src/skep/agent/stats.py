"""What Envoy counts, read and compared: two readings in, rates and latencies out. Pure.

Counters only grow, except when an Envoy was replaced: what shrank is taken to have started from nothing.
"""

from collections.abc import Iterable, Mapping

import msgspec

Bins = Mapping[tuple[float, float], int]
"""How many values were seen from a lower bound on, over a width."""


class Reading(msgspec.Struct, frozen=True):
    """What one Envoy has counted on one side since it started."""

    requests: int = 0
    server_errors: int = 0
    latency_ms: Bins = msgspec.field(default_factory=dict)


class Rates(msgspec.Struct, frozen=True):
    """What happened between two readings."""

    requests: int
    server_errors: int
    latency_ms: Bins


class _Bin(msgspec.Struct):
    lower_bound: float = 0.0
    width: float = 0.0
    count: int = 0


class _Histogram(msgspec.Struct):
    name: str
    totals: list[_Bin] = msgspec.field(default_factory=list)


class _Histograms(msgspec.Struct):
    details: list[_Histogram] = msgspec.field(default_factory=list)


class _Stat(msgspec.Struct):
    name: str = ""
    value: int | None = None
    histograms: _Histograms = msgspec.field(default_factory=_Histograms)


class _Stats(msgspec.Struct):
    stats: list[_Stat] = msgspec.field(default_factory=list)


_DECODER = msgspec.json.Decoder(_Stats)


def stats_path(side: str) -> str:
    """Return the path at Envoy's admin interface that answers with one side's counts."""
    return (
        "/stats?format=json&histogram_buckets=detailed"
        rf"&filter=^http\.{side}\.(downstream_rq_completed|downstream_rq_[1-5]xx|downstream_rq_time)$"
    )


def parse_stats(side: str, document: bytes) -> Reading:
    """Read what Envoy answers to `stats_path`."""
    prefix = f"http.{side}."
    counts: dict[str, int] = {}
    bins: dict[tuple[float, float], int] = {}
    for stat in _DECODER.decode(document).stats:
        if stat.value is not None:
            counts[stat.name.removeprefix(prefix)] = stat.value
        for histogram in stat.histograms.details:
            if histogram.name == f"{prefix}downstream_rq_time":
                for each in histogram.totals:
                    place = (each.lower_bound, each.width)
                    bins[place] = bins.get(place, 0) + each.count
    answered = sum(counts.get(f"downstream_rq_{status}xx", 0) for status in range(1, 6))
    return Reading(answered, counts.get("downstream_rq_5xx", 0), bins)


def compare(older: Reading | None, newer: Reading) -> Rates:
    """Return what happened from the older to the newer reading of the same Envoy."""
    if older is None or newer.requests < older.requests:
        older = Reading()
    grown = {place: count - older.latency_ms.get(place, 0) for place, count in newer.latency_ms.items()}
    if any(count < 0 for count in grown.values()):
        grown = dict(newer.latency_ms)
    return Rates(
        newer.requests - older.requests,
        max(0, newer.server_errors - older.server_errors),
        {place: count for place, count in grown.items() if count},
    )


def add(rates: Iterable[Rates]) -> Rates:
    """Put what several Envoys saw together."""
    requests = server_errors = 0
    bins: dict[tuple[float, float], int] = {}
    for each in rates:
        requests += each.requests
        server_errors += each.server_errors
        for place, count in each.latency_ms.items():
            bins[place] = bins.get(place, 0) + count
    return Rates(requests, server_errors, bins)


def quantile(bins: Bins, share: float) -> float | None:
    """Return the value below which a share of the values lies, to the width of a bin; None for no values."""
    total = sum(bins.values())
    if not total:
        return None
    rank, seen = share * total, 0
    for (lower, width), count in sorted(bins.items()):
        if seen + count >= rank:
            return lower + width * max(0.0, rank - seen) / count
        seen += count
    raise AssertionError("a rank beyond the total")
