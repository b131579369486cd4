"""`skep get` and `skep delete`: looking at objects, following them, removing them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from skep.cli.apply import place_of
from skep.cli.discovery import Discovery, ServedKind, discover
from skep.cli.failure import report, say
from skep.cli.manifests import Manifest
from skep.cli.options import Installation, Output
from skep.cli.output import columns, table_rows, to_json, to_yaml, write
from skep.clients.api import TABLE, ApiClient, Document
from skep.clients.errors import error_from_response
from skep.errors import Invalid, NotFound, Unavailable


class Query(msgspec.Struct, frozen=True):
    """What to look at, and how to print it."""

    words: tuple[str, ...]
    """`pods`, `pods a b`, `pod/a service/b`, `pods,services`."""
    namespace: str
    """Empty for every namespace."""
    selector: str = ""
    field_selector: str = ""
    output: Output = "table"
    watch: bool = False
    heading: bool = True


MAX_FAILURES, PAUSE_S = 60, 0.5
"""How often a watch tries to reach a server that is away, and how long it waits in between."""


class Place(msgspec.Struct, frozen=True):
    """Objects of a kind: one by its name, or all."""

    kind: ServedKind
    name: str = ""


def places(discovery: Discovery, words: Sequence[str]) -> list[Place]:
    """Understand the words after a command."""
    if not words:
        known = ", ".join(sorted({kind.plural for kind in discovery.kinds}))
        raise Invalid(f"say which kind: {known}")
    if any("/" in word for word in words):
        pairs = [word.partition("/") for word in words]
        if not all(kind and name for kind, _, name in pairs):
            raise Invalid("KIND/NAME cannot be mixed with KIND NAME; write each as KIND/NAME")
        return [Place(discovery.find(kind), name) for kind, _, name in pairs]
    kinds = discovery.expand(words[0])
    if len(words) == 1:
        return [Place(kind) for kind in kinds]
    return [Place(kind, name) for kind in kinds for name in words[1:]]


async def get(installation: Installation, query: Query) -> None:
    """Print the objects of a query; follow them when asked."""
    async with ApiClient(installation.server, installation.token) as api:
        asked = places(await discover(api), query.words)
        if any(place.name for place in asked) and query.selector:
            raise Invalid("a name and --selector cannot be given together")
        if query.watch:
            if len(asked) != 1:
                raise Invalid("--watch follows one kind, or one object of it")
            await _watch(api, asked[0], query)
        elif query.output in ("json", "yaml", "name"):
            await _print_documents(api, asked, query)
        else:
            await _print_tables(api, asked, query)


async def _print_documents(api: ApiClient, asked: Sequence[Place], query: Query) -> None:
    answers = [await api.get(_path(place, query), **_params(query)) for place in asked]
    if query.output == "name":
        for place, answer in zip(asked, answers, strict=True):
            for item in answer.get("items", [answer]) if not place.name else [answer]:
                write(f"{place.kind.title}/{item['metadata']['name']}")
        return
    if len(answers) == 1:
        whole: Document = answers[0]
    else:
        items = [item for p, a in zip(asked, answers, strict=True) for item in ([a] if p.name else a["items"])]
        whole = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}
    write(to_json(whole) if query.output == "json" else to_yaml(whole))


async def _print_tables(api: ApiClient, asked: Sequence[Place], query: Query) -> None:
    several = len({place.kind for place in asked}) > 1
    tables: dict[ServedKind, Document] = {}
    for place in asked:
        table = await api.table(_path(place, query), **_params(query))
        if place.kind in tables:
            tables[place.kind]["rows"] += table["rows"]
        else:
            tables[place.kind] = table
    blocks = []
    for kind, table in tables.items():
        if table.get("rows"):
            rows = _rows(table, kind, query, kind.title if several else "")
            blocks.append(columns(rows if query.heading else rows[1:]))
    if blocks:
        write("\n\n".join(blocks))
    elif query.namespace and any(place.kind.namespaced for place in asked):
        say(f"No resources found in {query.namespace} namespace.")
    else:
        say("No resources found.")


def _rows(table: Document, kind: ServedKind, query: Query, title: str = "") -> list[list[str]]:
    every = not query.namespace and kind.namespaced
    return table_rows(table, wide=query.output == "wide", namespaces=every, kind=title)


async def _watch(api: ApiClient, place: Place, query: Query) -> None:
    """Print what is there and each change after it, until interrupted."""
    params = _params(query)
    if place.name:
        await api.get(_path(place, query))
        params["fieldSelector"] = f"metadata.name={place.name}"
    path = place.kind.path(query.namespace)
    if query.output in ("json", "yaml", "name"):
        listed = await api.list(path, **params)
        for item in listed["items"]:
            _print_one(place.kind, item, query.output)
        async for event in _events(api, path, params, listed["metadata"]["resourceVersion"]):
            _print_one(place.kind, event["object"], query.output)
        return
    table = await api.table(path, **params)
    rows = _rows(table, place.kind, query)
    widths = [max(len(row[at]) for row in rows) + 3 for at in range(len(rows[0]))]
    for row in rows if query.heading else rows[1:]:
        write(_aligned(row, widths))
    async for event in _events(api, path, params, table["metadata"]["resourceVersion"], TABLE):
        # Only the first line of a watch of tables has the columns.
        changed = event["object"]
        changed["columnDefinitions"] = changed.get("columnDefinitions") or table["columnDefinitions"]
        for row in _rows(changed, place.kind, query)[1:]:
            write(_aligned(row, widths))


async def _events(
    api: ApiClient, path: str, params: dict[str, Any], revision: str, accept: str = ""
) -> AsyncIterator[Document]:
    """Yield what changes after a revision, for ever; a server that is away for a while is waited for."""
    failures = 0
    while True:
        asked = {**params, "watch": "true", "resourceVersion": revision, "allowWatchBookmarks": "true"}
        try:
            async with api.stream(path, asked, accept=accept) as lines:
                async for line in lines:
                    failures = 0
                    event: Document = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        code = event["object"].get("code", 500)
                        raise error_from_response(code, msgspec.json.encode(event["object"]))
                    revision = _revision(event["object"]) or revision
                    if event["type"] != "BOOKMARK":
                        yield event
        except Unavailable:
            failures += 1
            if failures > MAX_FAILURES:
                raise
            if failures == 1:
                say("the connection broke; trying again")
        await asyncio.sleep(PAUSE_S if failures else 0.2)


def _revision(document: Document) -> str:
    """Return the revision of an object, or of a table's row."""
    rows = document.get("rows")
    inner = rows[0].get("object", {}) if rows else document
    return str(inner.get("metadata", {}).get("resourceVersion", ""))


def _print_one(kind: ServedKind, document: Document, output: Output) -> None:
    if output == "name":
        write(f"{kind.title}/{document['metadata']['name']}")
    elif output == "json":
        write(to_json(document))
    else:
        write("---\n" + to_yaml(document))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _path(place: Place, query: Query) -> str:
    if place.name and place.kind.namespaced and not query.namespace:
        raise Invalid("a name is of one namespace: give -n instead of -A")
    return place.kind.path(query.namespace, place.name)


def _params(query: Query) -> dict[str, Any]:
    return {"labelSelector": query.selector, "fieldSelector": query.field_selector}


class Removal(msgspec.Struct, frozen=True):
    """What to delete."""

    words: tuple[str, ...]
    manifests: tuple[Manifest, ...]
    namespace: str
    selector: str = ""
    everything: bool = False
    ignore_missing: bool = False


async def delete(installation: Installation, removal: Removal) -> bool:
    """Delete objects and print each; tell whether all went well."""
    good = True
    async with ApiClient(installation.server, installation.token) as api:
        for kind, namespace, name in await _targets(api, await discover(api), removal):
            try:
                await api.delete(kind.path(namespace, name))
            except NotFound as error:
                if not removal.ignore_missing:
                    good = False
                    report(error)
                continue
            write(f'{kind.title} "{name}" deleted')
    return good


async def _targets(api: ApiClient, discovery: Discovery, removal: Removal) -> list[tuple[ServedKind, str, str]]:
    found: list[tuple[ServedKind, str, str]] = []
    for manifest in removal.manifests:
        kind, namespace = place_of(discovery, manifest, removal.namespace)
        found.append((kind, namespace, manifest.name))
    if not removal.words:
        return found
    for place in places(discovery, removal.words):
        if place.name:
            found.append((place.kind, removal.namespace, place.name))
            continue
        if not removal.selector and not removal.everything:
            raise Invalid(f"which of the {place.kind.plural}? Give names, --selector or --all")
        listed = await api.list(place.kind.path(removal.namespace), labelSelector=removal.selector)
        names = [item["metadata"] for item in listed["items"]]
        found += [(place.kind, metadata.get("namespace", ""), metadata["name"]) for metadata in names]
    if not found:
        sys.stderr.write("No resources found\n")
    return found
