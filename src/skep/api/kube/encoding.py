"""Stored documents as their readers see them, without decoding where bytes will do. Pure."""

from collections.abc import Iterable

import msgspec

from skep.kinds import Kind
from skep.store.objects import read

_METADATA = b'"metadata":{'


def visible(document: bytes, revision: int) -> bytes:
    """Return a stored document with its `metadata.resourceVersion`."""
    place = document.find(_METADATA)
    after = place + len(_METADATA)
    # Only a `"metadata"` before which no other object opened is surely the document's own.
    if place < 0 or document.count(b"{", 0, place) != 1 or document[after : after + 1] == b"}":
        return _slow(document, revision)
    place = after
    return b'%b"resourceVersion":"%d",%b' % (document[:place], revision, document[place:])


def at_version(document: bytes, kind: Kind, version: str) -> bytes:
    """Return a visible document with the `apiVersion` its reader speaks; all versions of a kind have one shape."""
    if version == kind.version:
        return document
    stored, wanted = (f'"apiVersion":"{kind.api_version_at(v)}"'.encode() for v in (kind.version, version))
    return document.replace(stored, wanted, 1)


def join_list(api_version: str, kind: str, revision: int, items: Iterable[bytes]) -> bytes:
    """Return a list document made of visible ones."""
    head = f'{{"apiVersion":"{api_version}","kind":"{kind}List","metadata":{{"resourceVersion":"{revision}"}},"items":['
    return head.encode() + b",".join(items) + b"]}"


def watch_event(kind: str, document: bytes) -> bytes:
    """Return one line of a watch."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), document)


def _slow(document: bytes, revision: int) -> bytes:
    return msgspec.json.encode(read(document, revision), order="deterministic")
