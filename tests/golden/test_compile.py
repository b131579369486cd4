"""Compile, tested from each case's `in.yaml` to its `ir.yaml` and `status.yaml`."""

from pathlib import Path

import msgspec
import pytest

from tests.support.goldens import ROOT, Ir, case_name, cases, load, plain, run, settle

FILES = frozenset({"in.yaml", "ir.yaml", "status.yaml", "xds.yaml"})


@pytest.mark.parametrize("case", cases(), ids=case_name)
def test_compile(case: Path) -> None:
    ir, status = run(case)
    shown = plain(ir)
    assert msgspec.convert(shown, Ir) == ir
    settle(case / "ir.yaml", shown)
    settle(case / "status.yaml", status)


def test_every_file_of_a_case_is_read_by_a_test() -> None:
    found = {path.relative_to(ROOT) for path in ROOT.glob("*/*/*") if "__pycache__" not in path.parts}
    assert not {str(path) for path in found if path.name not in FILES}


def test_a_case_tells_its_story_in_one_line() -> None:
    assert not [case_name(case) for case in cases() if not load(case / "in.yaml").get("story")]
