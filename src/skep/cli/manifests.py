"""Reads manifests: files, directories and standard input, YAML of several documents or JSON. Out: documents and their place."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from skep.errors import Invalid

SUFFIXES = (".yaml", ".yml", ".json")


class Manifest(msgspec.Struct, frozen=True):
    """One document and where it stands."""

    document: dict[str, Any]
    place: str

    @property
    def api_version(self) -> str:
        """As written, or empty."""
        return str(self.document.get("apiVersion") or "")

    @property
    def kind(self) -> str:
        """As written, or empty."""
        return str(self.document.get("kind") or "")

    @property
    def name(self) -> str:
        """As written, or empty."""
        return str(self._metadata.get("name") or "")

    @property
    def namespace(self) -> str:
        """As written, or empty."""
        return str(self._metadata.get("namespace") or "")

    @property
    def _metadata(self) -> dict[str, Any]:
        metadata = self.document.get("metadata")
        return metadata if isinstance(metadata, dict) else {}


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a date stays the text it is, and a key given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key given twice: the reader would not know which one counts."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def read_manifests(sources: Sequence[str]) -> list[Manifest]:
    """Read every document; a file that cannot be read, or is not YAML, raises `Invalid` with the place."""
    found: list[Manifest] = []
    for source in sources:
        if source == "-":
            found += parse_manifests(sys.stdin.read(), "standard input")
            continue
        for path in _files(Path(source)):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise Invalid(f"{path}: cannot be read: {error}") from error
            found += parse_manifests(text, str(path))
    if not found:
        raise Invalid(f"{', '.join(sources)}: no objects in there; manifests end in {', '.join(SUFFIXES)}")
    return found


def parse_manifests(text: str, source: str) -> list[Manifest]:
    """Parse a file's text; lists are taken apart."""
    manifests: list[Manifest] = []
    try:
        for number, document in enumerate(yaml.load_all(text, _Loader), 1):
            manifests += _taken_apart(document, f"{source}, document {number}")
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise Invalid(f"{source}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    return manifests


def _taken_apart(document: object, place: str) -> Iterator[Manifest]:
    if document is None:
        return
    if not isinstance(document, dict):
        raise Invalid(f"{place}: an object with apiVersion, kind and metadata is expected")
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        for number, item in enumerate(items, 1):
            yield from _taken_apart(item, f"{place}, item {number}")
        return
    yield Manifest(json.loads(json.dumps(document, default=_plain)), place)


def _plain(value: object) -> str:
    """JSON has no dates or bytes; what YAML made of them goes back to text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not path.exists():
        raise Invalid(f"{path}: no such file or directory")
    return [path]
