"""Gets and lists, served from the store's memory: as objects, as tables or as metadata only."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.responses import Response

from skep.api.kube.encoding import at_version, join_list, visible
from skep.api.kube.options import Options, parse_revision
from skep.api.kube.selectors import Selector, parse_selector
from skep.api.kube.table import META_API, Form, partial, row, table
from skep.api.kube.target import Target
from skep.api.parts import Overlay, Parts
from skep.api.reply import reply
from skep.errors import Expired, NotFound
from skep.registry.spec import RESOURCE as INSTANCES
from skep.store.backend import Entry
from skep.store.objects import read


class View(msgspec.Struct, frozen=True):
    """How one reader sees objects: which kind and version, in which form."""

    target: Target
    form: Form = Form.OBJECT
    include: str = "Metadata"
    overlay: Overlay | None = None
    """Adds what is known now and not stored; Instances have their lease from it."""

    def document(self, stored: bytes, revision: int) -> dict[str, Any]:
        """Return a stored document as this reader sees it."""
        document = read(stored, revision)
        if self.overlay is not None:
            document = self.overlay(document)
        document["apiVersion"] = self.target.api_version
        return document

    def encoded(self, stored: bytes, revision: int, now: datetime) -> bytes:
        """Return one object in this reader's form."""
        if self.form is Form.OBJECT and self.overlay is None:
            return at_version(visible(stored, revision), self.target.kind, self.target.version)
        document = self.document(stored, revision)
        if self.form is Form.OBJECT:
            return msgspec.json.encode(document)
        if self.form is Form.METADATA:
            return msgspec.json.encode(partial(document))
        rows = [row(self.target.kind, document, now, self.include)]
        return msgspec.json.encode(table(self.target.kind, rows, str(revision)))


def view_of(parts: Parts, target: Target, form: Form, options: Options) -> View:
    """Choose how the caller sees objects."""
    overlay = parts.registry.with_lease if parts.registry is not None and target.kind.resource == INSTANCES else None
    return View(target, form, options.include_object, overlay)


def get_object(parts: Parts, target: Target, form: Form, options: Options) -> Response:
    """Answer with one object."""
    entry = parts.store.find(target.key)
    if entry is None:
        raise NotFound(target.missing)
    view = view_of(parts, target, form, options)
    return reply(view.encoded(entry.document, entry.revision, parts.clock.now()))


def list_objects(parts: Parts, target: Target, form: Form, options: Options) -> Response:
    """Answer with the objects a selector picks, as they all are at one revision."""
    selector = parse_selector(target.kind.resource, options.label_selector, options.field_selector)
    entries, revision = parts.store.list(target.kind.resource, target.namespace or None)
    wanted = parse_revision(options.resource_version)
    if wanted > revision or (options.resource_version_match == "Exact" and wanted != revision):
        raise Expired(f"revision {wanted} cannot be listed: the latest, {revision}, is; list again without it")
    view = view_of(parts, target, form, options)
    return reply(_list(view, select(view, entries, selector), revision, parts.clock.now()))


def select(view: View, entries: Sequence[Entry], selector: Selector) -> Iterable[Entry]:
    """Pick the entries a selector matches; selectors see what the reader sees."""
    if selector.is_empty:
        return entries
    return [entry for entry in entries if selector.matches(view.document(entry.document, entry.revision))]


def _list(view: View, entries: Iterable[Entry], revision: int, now: datetime) -> bytes:
    target = view.target
    if view.form is Form.TABLE:
        documents = (view.document(entry.document, entry.revision) for entry in entries)
        rows = (row(target.kind, document, now, view.include) for document in documents)
        return msgspec.json.encode(table(target.kind, rows, str(revision)))
    items = (view.encoded(entry.document, entry.revision, now) for entry in entries)
    if view.form is Form.METADATA:
        return join_list(META_API, "PartialObjectMetadata", revision, items)
    return join_list(target.api_version, target.kind.kind, revision, items)
