"""Writes docs/reference from the code: every setting, every kind. A unit test fails while a page differs from the code.

Run: `make reference`.
"""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from skep import settings
from skep.kinds import KINDS, Kind

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "Written from the code by `make reference`; do not edit.\n"


def settings_page() -> str:
    """Render every setting with its variable, default and meaning."""
    meanings = dict(_field_docstrings())
    lines = [
        "# Settings\n",
        NOTE,
        "Each is a key of the TOML file that `--config` names, a variable, or a flag, where later ones win.\n",
        "| Key | Variable | Default | |",
        "|---|---|---|---|",
    ]
    for name, field in settings.Settings.model_fields.items():
        default = f"`{field.default}`" if field.default not in ("", None) else ""
        lines.append(f"| `{name}` | `SKEP_{name.upper()}` | {default} | {meanings[name]} |")
    return "\n".join(lines) + "\n"


def _field_docstrings() -> Iterator[tuple[str, str]]:
    (record,) = ast.parse(inspect.getsource(settings.Settings)).body
    assert isinstance(record, ast.ClassDef)
    for field, docstring in zip(record.body, record.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(docstring, ast.Expr):
            assert isinstance(field.target, ast.Name)
            yield field.target.id, inspect.cleandoc(ast.literal_eval(docstring.value)).replace("\n", " ")


def kinds_page() -> str:
    """Render every kind with its names and who writes it."""
    lines = [
        "# Kinds\n",
        NOTE,
        "| Kind | `apiVersion` | Names on the command line | Namespaced | Written by |",
        "|---|---|---|---|---|",
        *(_kind_row(kind) for kind in KINDS),
    ]
    return "\n".join(lines) + "\n"


def _kind_row(kind: Kind) -> str:
    versions = ", ".join(f"`{kind.api_version_at(version)}`" for version in kind.versions)
    names = ", ".join(f"`{name}`" for name in (kind.plural, *kind.short_names))
    namespaced, writer = "yes" if kind.namespaced else "no", "the platform" if kind.read_only else "users"
    return f"| {kind.kind} | {versions} | {names} | {namespaced} | {writer} |"


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    return {"settings.md": settings_page(), "kinds.md": kinds_page()}


def main() -> None:
    """Write the pages."""
    PAGES.mkdir(exist_ok=True)
    for name, text in pages().items():
        (PAGES / name).write_text(text)


if __name__ == "__main__":
    main()
