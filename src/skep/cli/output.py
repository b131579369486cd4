"""How answers are printed: the server's tables in aligned columns, and documents as JSON, YAML or names."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


def write(text: str) -> None:
    """Print to standard output."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def to_json(document: object) -> str:
    """Render as indented JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def to_yaml(document: object) -> str:
    """Render as YAML; text of several lines as a block."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, indentless)

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]
    text_of: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text_of


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align rows in columns, three spaces apart."""
    if not rows:
        return ""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def table_rows(table: Document, *, wide: bool, namespaces: bool, kind: str = "") -> list[list[str]]:
    """Return a server's table as rows of text, the heading first."""
    shown = [at for at, column in enumerate(table["columnDefinitions"]) if wide or not column.get("priority")]
    heading = [str(table["columnDefinitions"][at]["name"]).upper() for at in shown]
    rows = [["NAMESPACE", *heading] if namespaces else heading]
    for row in table.get("rows") or ():
        cells = [cell_text(row["cells"][at]) for at in shown]
        if kind and heading[:1] == ["NAME"]:
            cells[0] = f"{kind}/{cells[0]}"
        if namespaces:
            cells.insert(0, row.get("object", {}).get("metadata", {}).get("namespace", ""))
        rows.append(cells)
    return rows


def cell_text(value: object) -> str:
    """Render one cell."""
    if value is None or value == "":
        return "<none>" if value is None else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(cell_text(item) for item in value)
    return str(value)


def indented(text: str, by: int = 2) -> str:
    """Indent every line."""
    return "\n".join(" " * by + line if line else line for line in text.splitlines())


def joined(items: Iterable[str], none: str = "<none>") -> str:
    """Join with commas, or say that there are none."""
    return ",".join(items) or none
