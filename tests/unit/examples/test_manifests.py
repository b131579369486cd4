"""Every manifest of the examples is valid, and nothing in it is left unhonoured by surprise."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from skep.kinds import Kind, kind_for, parse_body
from skep.model.notes import notes

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
MANIFESTS = sorted(EXAMPLES.rglob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_every_document_is_valid(path: Path) -> None:
    found = documents(path)
    assert found
    for document in found:
        group, _, _version = document["apiVersion"].rpartition("/")
        kind = kind_for(group, document["kind"])
        assert isinstance(kind, Kind), document["kind"]
        parsed = parse_body(kind, document)
        assert isinstance(parsed, kind.body), parsed
        assert list(kind.validate(parsed)) == []
        assert {note.path.rsplit(".", 1)[-1] for note in notes(parsed)} <= {"image"}


def test_every_service_called_by_name_is_declared() -> None:
    services = {
        document["metadata"]["name"]
        for path in (EXAMPLES / "ride_hailing" / "manifests").glob("*.yaml")
        for document in documents(path)
        if document["kind"] == "Service"
    }
    text = "".join(source.read_text() for source in (EXAMPLES / "ride_hailing").glob("*.py"))
    called = set(re.findall(r'"http://([a-z][a-z-]*)/', text))
    assert called <= services
    assert len(called) >= 7
