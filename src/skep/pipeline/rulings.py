"""Keeps in the store which declarations proxies refused, and the earlier form of each that stays in force.

Without it a restart would lose what was good, and try the refused declaration on live proxies again. Kept where no API
shows it. In: rulings; out: the same after a restart. What was ruled on a former generation is forgotten.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from skep.errors import SkepError
from skep.kinds import kind_for, parse_body
from skep.model.names import ObjectRef
from skep.model.resource import Record, Resource
from skep.store.backend import Key
from skep.store.objects import meta_of
from skep.store.store import Create, Delete, Store, Update

log = logging.getLogger(__name__)

RESOURCE = "rulings.internal.skep.dev"
SETTLED_S = 0.2
"""While the guilty one is being found rulings come and go: only what stays is written."""


class Ruling(msgspec.Struct, frozen=True):
    """A refused generation of an object, and the form that stays in force; None when there is none."""

    ref: ObjectRef
    generation: int
    message: str
    earlier: Resource[Record] | None


class Rulings:
    """Holds what is to be written until the store takes it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: dict[ObjectRef, Ruling | None] = {}
        self._news = asyncio.Event()

    def keep(self, ref: ObjectRef, ruling: Ruling | None) -> None:
        """A declaration was refused; with None it was taken after all, or is gone."""
        self._wanted[ref] = ruling
        self._news.set()

    def load(self, generation_of: Callable[[ObjectRef], int | None]) -> Iterator[Ruling]:
        """Yield what holds for the present generations; the rest is dropped."""
        for entry in self._store.list(RESOURCE)[0]:
            ruling = _decode(entry.document)
            if generation_of(ruling.ref) == ruling.generation:
                yield ruling
            else:
                self.keep(ruling.ref, None)

    async def run(self) -> None:
        """Write what is wanted, for ever."""
        while True:
            await self._news.wait()
            await asyncio.sleep(SETTLED_S)
            self._news.clear()
            wanted, self._wanted = self._wanted, {}
            for ref, ruling in wanted.items():
                try:
                    await self._write(ref, ruling)
                except SkepError as error:  # it holds all the same; only a restart would not know
                    log.warning("cannot keep that a proxy refused %s: %s", ref, error)

    async def _write(self, ref: ObjectRef, ruling: Ruling | None) -> None:
        key = Key(RESOURCE, ref.namespace, f"{ref.kind}.{ref.group}.{ref.name}")
        exists = self._store.find(key) is not None
        if ruling is not None:
            document = _encode(ruling)
            await self._store.write([Update(key, document) if exists else Create(key, document)])
        elif exists:
            await self._store.write([Delete(key)])


def _encode(ruling: Ruling) -> bytes:
    earlier = ruling.earlier
    document = {
        "ref": ruling.ref,
        "generation": ruling.generation,
        "message": ruling.message,
        "earlier": None if earlier is None else _document(earlier),
    }
    return msgspec.json.encode(document)


def _document(resource: Resource[Record]) -> Mapping[str, Any]:
    meta = resource.meta
    metadata = {
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
        "generation": meta.generation,
        "creationTimestamp": meta.created,
        "labels": meta.labels,
        "annotations": meta.annotations,
    }
    return {**resource.body.model_dump(mode="json", by_alias=True, exclude_unset=True), "metadata": metadata}


def _decode(document: bytes) -> Ruling:
    found = msgspec.json.decode(document)
    ref = msgspec.convert(found["ref"], ObjectRef)
    kind = kind_for(ref.group, ref.kind)
    earlier = None
    if found["earlier"] is not None and kind is not None:
        body = parse_body(kind, found["earlier"])
        earlier = None if isinstance(body, list) else Resource(ref, meta_of(found["earlier"]), body)
    return Ruling(ref, found["generation"], found["message"], earlier)
