"""Checks that every file of the pure core has a unit test of its own, under the same path.

`src/skep/xds/translate/route.py` is tested by `tests/unit/xds/translate/test_route.py`. Files that hold nothing but
records and interfaces have nothing to test. Prints what is missing and exits with 1.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "skep"
TESTS = ROOT / "tests" / "unit"
PURE = (
    "errors.py",
    "model",
    "ir",
    "routing",
    "rules",
    "compiler",
    "xds/translate",
    "xds/session.py",
    "xds/snapshot.py",
    "xds/bootstrap.py",
    "registry/merge.py",
    "workloads/plan.py",
    "auth/policy.py",
)


def pure_files(package: Path) -> Iterator[Path]:
    """Yield the files of the pure core that exist."""
    for entry in PURE:
        path = package / entry
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(file for file in path.rglob("*.py") if file.name != "__init__.py")


def has_behaviour(source: str) -> bool:
    """Say whether the code does anything worth a test: a function, or a method that is neither a property nor a dunder."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return True
        if isinstance(node, ast.ClassDef) and any(_is_behaviour(part) for part in node.body):
            return True
    return False


def _is_behaviour(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("__"):
        return False
    is_property = any(isinstance(mark, ast.Name) and mark.id == "property" for mark in node.decorator_list)
    last = node.body[-1]
    is_stub = isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant)
    return not (is_property or is_stub)


def mirror_of(file: Path, package: Path, tests: Path) -> Path:
    """Return where the test of a file must be."""
    inside = file.relative_to(package)
    return tests / inside.parent / f"test_{inside.name}"


def missing(package: Path, tests: Path) -> list[tuple[Path, Path]]:
    """Return the files without their test, each with the path of the test."""
    wanted = (
        (file, mirror_of(file, package, tests)) for file in pure_files(package) if has_behaviour(file.read_text())
    )
    return [(file, test) for file, test in wanted if not test.is_file()]


def main() -> int:
    """Print what is missing."""
    gaps = missing(PACKAGE, TESTS)
    for file, test in gaps:
        sys.stdout.write(f"{file.relative_to(ROOT)} has no {test.relative_to(ROOT)}\n")
    sys.stdout.write(f"mirror: {len(gaps)} missing\n" if gaps else "mirror: every file of the pure core has its test\n")
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
