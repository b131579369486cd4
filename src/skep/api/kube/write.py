"""Create, update, patch and delete: what the store is asked to do for a request, whole or not at all."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from skep.api.errors import Problem, success
from skep.api.kube.admission import MODIFIED, Admitted, admit, check_preconditions, identify
from skep.api.kube.options import Options
from skep.api.kube.read import View, select, view_of
from skep.api.kube.selectors import parse_selector
from skep.api.kube.table import Form
from skep.api.kube.target import Target
from skep.api.parts import Parts
from skep.api.reply import reply
from skep.clock import rfc3339
from skep.errors import Conflict, Denied, Invalid, NotFound
from skep.kinds import KINDS, without_nulls
from skep.model.violation import Violation
from skep.registry.spec import RESOURCE as INSTANCES
from skep.store.backend import Entry, Key
from skep.store.objects import created, encode, read, updated
from skep.store.store import Create, Delete, Store, Update

Document = dict[str, Any]
Change = Callable[[Document], Any]
"""Given the present object as its readers see it, returns the one wanted."""

ATTEMPTS = 8
ALWAYS_THERE = ("default", "skep-system")
_POLICIES = ("Orphan", "Background", "Foreground")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


async def create(parts: Parts, target: Target, document: Mapping[str, Any], options: Options) -> Response:
    """Add an object."""
    clean = identify(target, document)
    metadata = clean["metadata"]
    if metadata.pop("resourceVersion", ""):
        raise Invalid("metadata.resourceVersion: must not be set on objects to be created")
    prefix = metadata.get("generateName")
    if not metadata.get("name") and isinstance(prefix, str) and prefix:
        metadata["name"] = prefix[:58] + "".join(secrets.choice(_SUFFIX) for _ in range(5))
    metadata.pop("deletionTimestamp", None)
    clean.pop("status", None)
    name = metadata.get("name")
    named = msgspec.structs.replace(target, name=name if isinstance(name, str) else "")
    admitted = admit(named, clean, options.field_validation)
    _require_namespace(parts.store, named)
    fresh = encode(created(named.key, admitted.document, parts.clock))
    if parts.store.find(named.key) is not None:
        raise _exists(named)
    if options.dry_run:
        return _answer(parts, named, Entry(named.key, 0, fresh), admitted.warnings, 201)
    try:
        (entry,) = await parts.store.write([Create(named.key, fresh)])
    except Conflict as error:
        raise _exists(named) from error
    return _answer(parts, named, entry, admitted.warnings, 201)


async def replace(parts: Parts, target: Target, document: Mapping[str, Any], options: Options) -> Response:
    """Put an object, or its status, in the place of the present one."""
    return await change(parts, target, always(document), options)


def always(document: Mapping[str, Any]) -> Change:
    """Return a change to a document, whatever the present one is."""

    def wanted(present: Document) -> Document:
        del present
        return dict(document)

    return wanted


async def change(parts: Parts, target: Target, wanted: Change, options: Options) -> Response:
    """Turn the present object into another; done again on what others wrote meanwhile, unless a revision is named."""
    for _ in range(ATTEMPTS):
        present = parts.store.find(target.key)
        if present is None:
            raise NotFound(target.missing)
        seen = view_of(parts, target, Form.OBJECT, options).document(present.document, present.revision)
        after = wanted(seen)
        if not isinstance(after, dict):
            raise Invalid("the result must be a JSON object")
        try:
            return await _change_once(parts, target, present, after, options)
        except _Raced:
            continue
    raise Conflict(f'Operation cannot be fulfilled on {target.kind.resource} "{target.name}": {MODIFIED}')


class _Raced(Exception):
    """Another write came between; nothing was written."""


async def _change_once(parts: Parts, target: Target, present: Entry, after: Document, options: Options) -> Response:
    old = read(present.document, present.revision)
    clean = identify(target, after)
    check_preconditions(target, clean["metadata"], old["metadata"].get("uid", ""), present.revision)
    admitted = _status_only(old, clean) if target.subresource == "status" else _whole(target, old, clean, options)
    result = updated(old, admitted.document)
    if result["metadata"].get("deletionTimestamp") and not result["metadata"].get("finalizers"):
        write: Update | Delete = Delete(target.key, present.revision)
    else:
        write = Update(target.key, encode(result), present.revision)
    if isinstance(write, Update) and write.document == present.document:
        return _answer(parts, target, present, admitted.warnings)
    if options.dry_run:
        return _answer(parts, target, Entry(target.key, present.revision, encode(result)), admitted.warnings)
    try:
        (entry,) = await parts.store.write([write])
    except (Conflict, NotFound) as error:
        raise _Raced from error
    return _answer(parts, target, entry, admitted.warnings)


def _whole(target: Target, old: Document, clean: Document, options: Options) -> Admitted:
    clean.pop("status", None)
    if "status" in old:
        clean["status"] = old["status"]
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        clean["metadata"].pop(field, None)
        if field in old["metadata"]:
            clean["metadata"][field] = old["metadata"][field]
    return admit(target, clean, options.field_validation, old)


def _status_only(old: Document, clean: Document) -> Admitted:
    status = clean.get("status", {})
    if not isinstance(status, Mapping):
        raise Invalid(violations=[Violation("status", "invalid-type", "must be an object")])
    return Admitted({**old, "status": dict(status)})


async def delete(parts: Parts, target: Target, body: Mapping[str, Any], options: Options) -> Response:
    """Remove an object; one with finalizers is marked, and goes when the last of them does."""
    preconditions, dry_run = _delete_options(body, options)
    if target.kind.resource == "namespaces" and target.name in ALWAYS_THERE:
        raise Denied(f'namespaces "{target.name}" is forbidden: this namespace may not be deleted')
    for _ in range(ATTEMPTS):
        present = parts.store.find(target.key)
        if present is None:
            raise NotFound(target.missing)
        document = read(present.document, present.revision)
        metadata = document["metadata"]
        check_preconditions(target, preconditions, metadata.get("uid", ""), present.revision)
        marked = _marked(document, parts) if metadata.get("finalizers") else None
        if dry_run:
            return reply(success(target.about, metadata.get("uid", "")))
        writes = [Update(target.key, encode(marked), present.revision)] if marked else _removal(parts, present)
        try:
            entries = await parts.store.write(writes)
        except (Conflict, NotFound):
            continue
        if marked:
            return _answer(parts, target, entries[0], ())
        return reply(success(target.about, metadata.get("uid", "")))
    raise Conflict(f'Operation cannot be fulfilled on {target.kind.resource} "{target.name}": {MODIFIED}')


async def delete_collection(parts: Parts, target: Target, body: Mapping[str, Any], options: Options) -> Response:
    """Remove every object a selector picks, in one write."""
    _, dry_run = _delete_options(body, options)
    if target.kind.resource == "namespaces":
        raise Problem(405, "MethodNotAllowed", "namespaces are deleted one by one")
    selector = parse_selector(target.kind.resource, options.label_selector, options.field_selector)
    for _ in range(ATTEMPTS):
        entries, _revision = parts.store.list(target.kind.resource, target.namespace or None)
        chosen = list(select(view_of(parts, target, Form.OBJECT, options), entries, selector))
        if dry_run or not chosen:
            return reply(success(target.about))
        writes: list[Update | Delete] = []
        for entry in chosen:
            document = read(entry.document, entry.revision)
            if document["metadata"].get("finalizers"):
                writes.append(Update(entry.key, encode(_marked(document, parts)), entry.revision))
            else:
                writes.append(Delete(entry.key, entry.revision))
        try:
            await parts.store.write(writes)
        except (Conflict, NotFound):
            continue
        return reply(success(target.about))
    raise Conflict(f"{target.kind.resource}: {MODIFIED}")


def _removal(parts: Parts, present: Entry) -> list[Delete]:
    """A namespace goes with everything in it; Instances belong to the registry and leave as their leases do."""
    writes = [Delete(present.key, present.revision)]
    if present.key.resource == "namespaces":
        for kind in KINDS:
            if kind.namespaced and kind.resource != INSTANCES:
                entries, _ = parts.store.list(kind.resource, present.key.name)
                writes += [Delete(entry.key) for entry in entries]
    return writes


def _marked(document: Document, parts: Parts) -> Document:
    """Note since when an object is being deleted."""
    metadata = document["metadata"]
    if metadata.get("deletionTimestamp"):
        return document
    stamp = {"deletionTimestamp": rfc3339(parts.clock.now()), "deletionGracePeriodSeconds": 0}
    return {**document, "metadata": {**metadata, **stamp}}


def _delete_options(body: Mapping[str, Any], options: Options) -> tuple[Mapping[str, Any], bool]:
    body = without_nulls(body)
    preconditions, dry_run = body.get("preconditions", {}), body.get("dryRun", [])
    if not isinstance(preconditions, Mapping):
        raise Invalid(violations=[Violation("preconditions", "invalid-type", "must be an object")])
    if not isinstance(dry_run, list) or any(value != "All" for value in dry_run):
        raise Invalid(violations=[Violation("dryRun", "unsupported", 'unsupported value: supported values: ["All"]')])
    if body.get("propagationPolicy", "Background") not in _POLICIES:
        message = f"unsupported value: supported values: {', '.join(_POLICIES)}"
        raise Invalid(violations=[Violation("propagationPolicy", "unsupported", message)])
    return preconditions, options.dry_run or bool(dry_run)


def _require_namespace(store: Store, target: Target) -> None:
    if not target.kind.namespaced:
        return
    entry = store.find(Key("namespaces", "", target.namespace))
    if entry is None:
        raise NotFound(f'namespaces "{target.namespace}" not found')
    if read(entry.document, 0)["metadata"].get("deletionTimestamp"):
        raise Denied(f"namespace {target.namespace} is being terminated: nothing new can be created in it")


def _exists(target: Target) -> Problem:
    return Problem(409, "AlreadyExists", f'{target.kind.resource} "{target.name}" already exists')


def _answer(parts: Parts, target: Target, entry: Entry, warnings: Sequence[str], status: int = 200) -> Response:
    view = View(target, overlay=view_of(parts, target, Form.OBJECT, Options()).overlay)
    if entry.revision == 0:
        document = view.document(entry.document, 0)
        del document["metadata"]["resourceVersion"]
        return reply(document, status, warnings)
    return reply(view.encoded(entry.document, entry.revision, parts.clock.now()), status, warnings)
