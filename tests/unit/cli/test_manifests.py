"""Manifests are read whole, and what is wrong with a file is said with its place."""

from pathlib import Path

import pytest

from skep.cli.manifests import parse_manifests, read_manifests
from skep.errors import Invalid


def test_several_documents_lists_and_empty_ones() -> None:
    text = "---\n# nothing\n---\nkind: A\nmetadata: {name: x}\n---\nkind: List\nitems: [{kind: B}, {kind: C}]\n"
    found = parse_manifests(text, "f.yaml")
    assert [(each.kind, each.name) for each in found] == [("A", "x"), ("B", ""), ("C", "")]
    assert found[1].place == "f.yaml, document 3, item 1"


def test_a_directory_is_read_in_order_without_other_files(tmp_path: Path) -> None:
    for name, kind in (("b.yml", "B"), ("a.yaml", "A"), ("c.json", "C"), ("notes.txt", "no")):
        (tmp_path / name).write_text(f'{{"kind": "{kind}"}}')
    assert [each.kind for each in read_manifests([str(tmp_path)])] == ["A", "B", "C"]


def test_dates_stay_text() -> None:
    (manifest,) = parse_manifests("kind: A\nmetadata: {creationTimestamp: 2026-01-01T00:00:00Z}\nday: 2026-01-01", "f")
    assert manifest.document["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert manifest.document["day"] == "2026-01-01"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "line"),
        ("kind: A\nkind: B", "line 2: not valid YAML: key 'kind' is given twice"),
        ("- a\n- b", "document 1: an object with apiVersion"),
        ("!!python/object:os.system {}", "not valid YAML"),
        ("? {a: b}\n: c", "a key must be text"),
        ("\x00", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_what_is_not_a_manifest_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_manifests(text, "f.yaml")
    assert "f.yaml" in str(caught.value)
    assert said in str(caught.value)


def test_a_missing_file_and_an_empty_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such file"):
        read_manifests([str(tmp_path / "nothing.yaml")])
    (tmp_path / "empty.yaml").write_text("---\n")
    with pytest.raises(Invalid, match="no objects in there"):
        read_manifests([str(tmp_path / "empty.yaml")])
