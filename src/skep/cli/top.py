"""`skep top`: a live table of services, as the Envoys of this host count their calls. In: the agent's numbers; out: rows."""

import asyncio
from collections.abc import Sequence

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from skep.cli.options import Installation, Output
from skep.cli.output import columns, to_json, to_yaml, write
from skep.clients.agent import ReadStats, Traffic, connected
from skep.errors import Unavailable

HEADINGS = ("SERVICE", "INSTANCES", "REQ/S", "SUCCESS", "P50", "P99")
REFRESH_S = 1.0
WORRYING = 0.99
"""Below this share of answers without an error a line is red."""


async def top(installation: Installation, namespace: str, once: bool, output: Output) -> None:
    """Show the table until interrupted, or once."""
    if once or output in ("json", "yaml"):
        shown = await _read(installation, namespace)
        if output in ("json", "yaml"):
            plain = msgspec.to_builtins(shown)
            write(to_json(plain) if output == "json" else to_yaml(plain))
        else:
            write(columns([list(heading(namespace)), *([*cells(each, namespace)] for each in shown)]))
        return
    console = Console()
    if not console.is_terminal:
        # Into a file or a pipe: a table now and then, instead of one that is drawn over.
        while True:
            write(
                columns(
                    [list(heading(namespace)), *([*cells(e, namespace)] for e in await _read(installation, namespace))]
                )
            )
            write("")
            await asyncio.sleep(5 * REFRESH_S)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            try:
                live.update(_picture(await _read(installation, namespace), namespace), refresh=True)
            except Unavailable as error:
                live.update(Text(f"waiting: {error}", style="yellow"), refresh=True)
            await asyncio.sleep(REFRESH_S)


async def _read(installation: Installation, namespace: str) -> list[Traffic]:
    async with connected(installation.data_dir) as agent:
        shown = await agent.call(ReadStats(), list[Traffic], 15.0)
    return sorted(
        (each for each in shown if not namespace or each.namespace == namespace or each.kind == "gateway"),
        key=lambda each: (each.kind != "gateway", each.namespace, each.name),
    )


def heading(namespace: str) -> tuple[str, ...]:
    """Return the names of the columns."""
    return HEADINGS if namespace else ("NAMESPACE", *HEADINGS)


def cells(traffic: Traffic, namespace: str) -> tuple[str, ...]:
    """Render one line."""
    name = f"gateway {traffic.name}" if traffic.kind == "gateway" else traffic.name
    line = (
        name,
        f"{traffic.passing}/{traffic.instances}",
        f"{traffic.requests_per_s:.1f}",
        "–" if traffic.success_ratio is None else _percent(traffic.success_ratio),
        _milliseconds(traffic.p50_ms),
        _milliseconds(traffic.p99_ms),
    )
    return line if namespace else (traffic.namespace, *line)


def _percent(ratio: float) -> str:
    """Round down: 100 % means that nothing failed."""
    return f"{int(ratio * 10_000) / 100:.2f} %" if ratio < 1 else "100 %"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 1:
        return "< 1 ms"  # Envoy counts whole milliseconds
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def colour(traffic: Traffic) -> str:
    """Choose a line's colour: red where callers are failed, yellow where an instance is not there for them."""
    if (traffic.success_ratio is not None and traffic.success_ratio < WORRYING) or not traffic.passing:
        return "red"
    return "yellow" if traffic.passing < traffic.instances or traffic.success_ratio not in (None, 1.0) else ""


def _picture(shown: Sequence[Traffic], namespace: str) -> Group:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in heading(namespace):
        table.add_column(name, justify="left" if name in ("NAMESPACE", "SERVICE") else "right", no_wrap=True)
    for each in shown:
        table.add_row(*cells(each, namespace), style=colour(each))
    window = f"over the last {shown[0].window_s:.0f} s" if shown else "no service runs here yet"
    return Group(table, Text(f"{window}; Ctrl-C ends this", style="dim"))
