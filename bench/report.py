"""Prints a benchmark's last line: one JSON object of figures and bars. It judges the figures; it never fails the process."""

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


class Bar(NamedTuple):
    """One promise: the named value against its limit."""

    name: str
    value: float
    op: str
    limit: float

    @property
    def held(self) -> bool:
        """Whether the promise is kept."""
        return _OPERATORS[self.op](self.value, self.limit)


def render(bench: str, figures: Mapping[str, float], bars: Sequence[Bar]) -> str:
    """Return the report as one line of JSON; `held` is true when there are bars and each is held."""
    shown = [{**bar._asdict(), "value": _rounded(bar.value), "held": bar.held} for bar in bars]
    report = {
        "bench": bench,
        "figures": {name: _rounded(value) for name, value in figures.items()},
        "bars": shown,
        "held": bool(bars) and all(bar.held for bar in bars),
    }
    return json.dumps(report)


def report(bench: str, figures: Mapping[str, float], bars: Sequence[Bar]) -> None:
    """Print the report as the last line."""
    print(render(bench, figures, bars), flush=True)


def _rounded(value: float) -> float:
    """Shorten a figure to what a benchmark can tell: three decimals."""
    return value if isinstance(value, int) else round(value, 3)
