"""What a body says in vain: fields that do not exist, and fields that are recorded and not acted on.

In: a parsed body; out: paths and reasons, for the warnings of a write and for statuses. Fields carry their reason
themselves, see `Record`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from pydantic import BaseModel


class Note(msgspec.Struct, frozen=True, order=True):
    """A field that was taken but means nothing here."""

    path: str
    reason: str = ""
    """Why it is not honoured; empty for a field that does not exist."""


def notes(body: BaseModel, path: str = "") -> list[Note]:
    """Name the fields of a body that do not exist or are not honoured, in the order of their paths."""
    return sorted(set(_notes(body, path)), key=lambda note: note.path)


def unhonoured(body: BaseModel, path: str = "") -> list[Note]:
    """Name the fields of a body that exist and are not honoured."""
    return [note for note in notes(body, path) if note.reason]


def _notes(value: Any, path: str) -> Iterator[Note]:
    if isinstance(value, BaseModel):
        yield from _record_notes(value, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _notes(item, f"{path}[{key}]")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _notes(item, f"{path}[{index}]")


def _record_notes(record: BaseModel, path: str) -> Iterator[Note]:
    fields = type(record).model_fields
    for name in record.model_extra or ():
        yield Note(_join(path, name))
    for name in record.model_fields_set & fields.keys():
        field = fields[name]
        at = _join(path, field.alias or name)
        extra = field.json_schema_extra
        value = getattr(record, name)
        if isinstance(extra, dict) and "unhonoured" in extra:
            if value not in (None, "", (), [], {}):  # tools write these where nothing was said
                yield Note(at, str(extra["unhonoured"]) or "not honoured here")
            continue
        values = extra.get("unhonoured_values") if isinstance(extra, dict) else None
        if isinstance(values, dict) and isinstance(value, str) and value in values:
            yield Note(at, str(values[value]))
        yield from _notes(value, at)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
