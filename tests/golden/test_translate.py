"""Translate, tested from each case's checked-in `ir.yaml` to its `xds.yaml`."""

from pathlib import Path

import pytest

from tests.support.goldens import case_name, cases, load_ir, settle
from tests.support.xds_goldens import translated


@pytest.mark.parametrize("case", cases(), ids=case_name)
def test_translate(case: Path) -> None:
    settle(case / "xds.yaml", translated(load_ir(case)))
