"""What the documents promise to list is listed, and what they point at exists."""

import re
import tomllib
from pathlib import Path

import pytest

from scripts import reference
from skep.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted(reference.pages()))
def test_the_reference_is_what_the_code_says(page: str) -> None:
    assert (reference.PAGES / page).read_text() == reference.pages()[page], "run `make reference`"


def test_every_kind_is_described() -> None:
    text = (ROOT / "docs" / "guides" / "kubectl.md").read_text()
    assert [kind.kind for kind in KINDS if not re.search(rf"\b{kind.kind}\b", text)] == []


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[\[><=~!;\s]", requirement)[0].lower() for requirement in wanted}
    text = (ROOT / "docs" / "adr" / "0008-dependencies.md").read_text()
    assert sorted(name for name in names if not name.startswith("types-") and name not in text) == []


def test_every_decision_is_in_the_list() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    assert [path.name for path in (ROOT / "docs" / "adr").glob("0*.md") if path.name not in listed] == []


def test_no_address_is_in_the_locked_lists() -> None:
    assert [path.name for path in ROOT.glob("requirements*.txt") if "://" in path.read_text()] == []
