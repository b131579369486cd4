"""How answers are printed."""

import yaml

from skep.cli.output import columns, table_rows, to_yaml

TABLE = {
    "columnDefinitions": [
        {"name": "Name", "priority": 0},
        {"name": "Ready", "priority": 0},
        {"name": "Node", "priority": 1},
    ],
    "rows": [
        {"cells": ["web", True, "host"], "object": {"metadata": {"namespace": "shop"}}},
        {"cells": ["db", None, ["a", "b"]], "object": {"metadata": {"namespace": "data"}}},
    ],
}


def test_a_table_shows_what_its_columns_say() -> None:
    assert table_rows(TABLE, wide=False, namespaces=False) == [["NAME", "READY"], ["web", "true"], ["db", "<none>"]]
    assert table_rows(TABLE, wide=True, namespaces=True, kind="pod") == [
        ["NAMESPACE", "NAME", "READY", "NODE"],
        ["shop", "pod/web", "true", "host"],
        ["data", "pod/db", "<none>", "a,b"],
    ]


def test_columns_are_aligned_and_end_without_spaces() -> None:
    assert columns([["A", "B"], ["long", ""]]) == "A      B\nlong"


def test_yaml_reads_back_and_keeps_text_readable() -> None:
    document = {"b": "one\ntwo\n", "a": ["yes", "1", 1, None, True], "same": [{"x": 1}] * 2, "ü": "ß"}
    text = to_yaml(document)
    assert yaml.safe_load(text) == document
    assert "b: |\n" in text
    assert "&" not in text
    assert "ß" in text
