"""`skep describe`: an object for people: who it is, what its author wrote, its conditions, and what happened to it."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from skep.cli.apply import LAST_APPLIED
from skep.cli.discovery import ServedKind, discover
from skep.cli.objects import places
from skep.cli.options import Installation
from skep.cli.output import columns, indented, to_yaml, write
from skep.clients.api import ApiClient, Document
from skep.errors import NotFound

_OURS = ("apiVersion", "kind", "metadata", "status")


async def describe(installation: Installation, words: Sequence[str], namespace: str, selector: str) -> None:
    """Print the objects that the words name."""
    async with ApiClient(installation.server, installation.token) as api:
        blocks = []
        for place in places(await discover(api), words):
            if place.name:
                found = [await api.get(place.kind.path(namespace, place.name))]
            else:
                listed = await api.list(place.kind.path(namespace), labelSelector=selector)
                found = [{"apiVersion": place.kind.api_version, "kind": place.kind.kind, **i} for i in listed["items"]]
            blocks += [render(document, await _happened(api, place.kind, document)) for document in found]
    if not blocks:
        raise NotFound(f"nothing to describe: no {' '.join(words)} in {namespace or 'any namespace'}")
    write("\n\n\n".join(blocks))


async def _happened(api: ApiClient, kind: ServedKind, document: Document) -> list[Document]:
    metadata = document["metadata"]
    about = f"involvedObject.kind={kind.kind},involvedObject.name={metadata['name']}"
    namespace = metadata.get("namespace") or "default"
    events: list[Document] = (await api.list(f"/api/v1/namespaces/{namespace}/events", fieldSelector=about))["items"]
    return sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))


def render(document: Document, events: Sequence[Document] = ()) -> str:
    """Render one object; the values of a Secret are not shown."""
    metadata = document["metadata"]
    lines = [f"{'Name:':<14}{metadata['name']}"]
    if metadata.get("namespace"):
        lines.append(f"{'Namespace:':<14}{metadata['namespace']}")
    lines.append(f"{'Kind:':<14}{document['kind']} ({document['apiVersion']})")
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    lines += _pairs("Labels:", metadata.get("labels") or {}) + _pairs("Annotations:", annotations)
    lines.append(f"{'Created:':<14}{metadata.get('creationTimestamp', '')}")
    for name, value in _sections(document):
        lines.append(f"{_title(name)}:")
        lines.append(indented(to_yaml(value).rstrip() if isinstance(value, Mapping | list) else str(value)))
    lines += _status(document.get("status") or {})
    lines += _events(events)
    return "\n".join(lines)


def _pairs(title: str, pairs: Mapping[str, str]) -> list[str]:
    texts = [f"{name}={value}" for name, value in sorted(pairs.items())] or ["<none>"]
    return [f"{title if at == 0 else '':<14}{text}" for at, text in enumerate(texts)]


def _sections(document: Document) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if name in _OURS or value in (None, {}, []):
            continue
        if document["kind"] == "Secret" and name in ("data", "stringData"):
            yield name, {key: _size(text, encoded=name == "data") for key, text in value.items()}
        else:
            yield name, value


def _size(text: str, *, encoded: bool) -> str:
    return f"{len(base64.b64decode(text) if encoded else text.encode())} bytes"


def _status(status: Document) -> list[str]:
    lines: list[str] = []
    rest = {name: value for name, value in status.items() if name != "conditions"}
    for title, conditions in _conditions(status, ""):
        lines.append(f"Conditions{f' ({title})' if title else ''}:")
        rows = [["TYPE", "STATUS", "REASON", "MESSAGE"]]
        rows += [[str(c.get(field, "")) for field in ("type", "status", "reason", "message")] for c in conditions]
        lines.append(indented(columns(rows)))
    rest = _without_conditions(rest)
    if rest:
        lines += ["Status:", indented(to_yaml(rest).rstrip())]
    return lines


def _conditions(part: Document, title: str) -> Iterator[tuple[str, list[Document]]]:
    """Yield the lists of conditions wherever they are: of the object, its listeners, its parents."""
    if isinstance(part.get("conditions"), list) and part["conditions"]:
        yield title, part["conditions"]
    for name, value in part.items():
        if not isinstance(value, list) or name == "conditions":
            continue
        for item in value:
            if isinstance(item, dict):
                yield from _conditions(item, f"{title} {_one(name)} {_label(item)}".strip())


def _one(name: str) -> str:
    return name.removesuffix("s")


def _label(item: Document) -> str:
    reference = item.get("parentRef") or item.get("ancestorRef") or {}
    if reference:
        section = f", {reference['sectionName']}" if reference.get("sectionName") else ""
        return f"{reference.get('kind', 'Gateway')}/{reference.get('name', '')}{section}"
    return str(item.get("name", ""))


def _without_conditions(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_conditions(inner) for name, inner in value.items() if name != "conditions"}
    if isinstance(value, list):
        return [_without_conditions(inner) for inner in value]
    return value


def _events(events: Sequence[Document]) -> list[str]:
    if not events:
        return ["Events:       <none>"]
    rows = [["TYPE", "REASON", "LAST SEEN", "COUNT", "FROM", "MESSAGE"]]
    for event in events:
        seen = event.get("lastTimestamp") or event.get("eventTime") or ""
        source = (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
        values = (event.get("type"), event.get("reason"), seen, event.get("count") or 1, source, event.get("message"))
        rows.append([str(value or "") for value in values])
    return ["Events:", indented(columns(rows))]


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]
