"""The rules that every object follows, on top of the store: uid, creationTimestamp, generation, resourceVersion.

In: plain dictionaries as a manifest has them; out: entries. Documents are kept in one canonical spelling, without
`metadata.resourceVersion`. Must not know kinds, nor check what a spec means.
"""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from skep.clock import Clock, rfc3339
from skep.errors import Conflict
from skep.model.resource import Meta
from skep.store.backend import Entry, Key
from skep.store.store import Create, Delete, Store, Update

Document = dict[str, Any]

STATUS_ATTEMPTS = 10
_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Document)
_OURS = ("uid", "creationTimestamp", "generation")


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the one spelling of a document: keys sorted, no `metadata.resourceVersion`."""
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping) and "resourceVersion" in metadata:
        kept = {name: value for name, value in metadata.items() if name != "resourceVersion"}
        document = {**document, "metadata": kept}
    return _encoder.encode(document)


def decode(entry: Entry) -> Document:
    """Return an entry as its readers see it, with `metadata.resourceVersion`."""
    return read(entry.document, entry.revision)


def read(document: bytes, revision: int) -> Document:
    """Return a kept document as its readers see it, with `metadata.resourceVersion`."""
    decoded = _decoder.decode(document)
    decoded.setdefault("metadata", {})["resourceVersion"] = str(revision)
    return decoded


def meta_of(document: Mapping[str, Any]) -> Meta:
    """Return the part of `metadata` that rules depend on."""
    metadata = document.get("metadata") or {}
    return Meta(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 1),
        created=metadata.get("creationTimestamp", ""),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
    )


def created(key: Key, document: Mapping[str, Any], clock: Clock) -> Document:
    """Return a document as it is first kept: with its key's names, a uid, the time and generation 1."""
    metadata = dict(document.get("metadata") or {})
    metadata |= {"name": key.name, "uid": str(uuid.uuid4()), "creationTimestamp": rfc3339(clock.now()), "generation": 1}
    if key.namespace:
        metadata["namespace"] = key.namespace
    return {**document, "metadata": metadata}


def updated(old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
    """Return what replaces a document: what is ours is kept; generation rises when more than metadata or status changed."""
    before = old.get("metadata") or {}
    metadata = dict(new.get("metadata") or {})
    for name in ("name", "namespace", *_OURS):
        if name in before:
            metadata[name] = before[name]
    if _wish(old) != _wish(new):
        metadata["generation"] = before.get("generation", 1) + 1
    return {**new, "metadata": metadata}


async def create_object(store: Store, key: Key, document: Mapping[str, Any], clock: Clock) -> Entry:
    """Keep a new object; raise `Conflict` when it exists."""
    (entry,) = await store.write([Create(key, encode(created(key, document, clock)))])
    return entry


async def update_object(store: Store, key: Key, document: Mapping[str, Any], expect: int | None = None) -> Entry:
    """Replace an object, status and all; nothing is written when nothing changed."""
    present = store.get(key)
    replacement = encode(updated(_decoder.decode(present.document), document))
    if replacement == present.document and expect in (None, present.revision):
        return present
    # What is ours was taken from `present`, so the write must replace just that, whatever the caller expects.
    if expect is None:
        try:
            (entry,) = await store.write([Update(key, replacement, present.revision)])
        except Conflict:
            return await update_object(store, key, document)
        return entry
    (entry,) = await store.write([Update(key, replacement, expect)])
    return entry


async def update_status(
    store: Store, key: Key, status: Mapping[str, Any], observed_revision: int | None = None
) -> Entry:
    """Set an object's status and leave the rest; nothing is written when it is that already.

    Retried while others write to the object. With `observed_revision`, `Conflict` is raised instead when the object is
    not at that revision any more, for a status that is only true of what was observed.
    """
    for _ in range(STATUS_ATTEMPTS):
        present = store.get(key)
        if observed_revision not in (None, present.revision):
            raise Conflict(f"{key.resource} {key.namespace}/{key.name} changed while its status was found out")
        document = encode({**_decoder.decode(present.document), "status": status})
        if document == present.document:
            return present
        try:
            (entry,) = await store.write([Update(key, document, present.revision)])
        except Conflict:
            continue
        return entry
    raise Conflict(f"{key.resource} {key.namespace}/{key.name} keeps changing; its status was not written")


async def delete_object(store: Store, key: Key, expect: int | None = None) -> Entry:
    """Remove an object; return its last entry, at the revision that removed it."""
    (entry,) = await store.write([Delete(key, expect)])
    return entry


def _wish(document: Mapping[str, Any]) -> Document:
    return {name: value for name, value in document.items() if name not in ("metadata", "status")}
