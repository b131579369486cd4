"""`skep apply`: brings objects to what their manifests say, by what changed since the last apply, as kubectl does.

In: manifests; out: a line for each, its warnings and its violations. One bad object does not stop the others.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from skep.cli.discovery import Discovery, ServedKind, discover
from skep.cli.failure import report, say, warn
from skep.cli.manifests import Manifest
from skep.cli.options import Installation
from skep.cli.output import write
from skep.clients.api import PATCH_TYPES, ApiClient
from skep.errors import Invalid, NotFound, SkepError, Unauthenticated, Unavailable

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl's own annotation, so that both tools can be used in turn."""
LAST_APPLIED_BYTES = 128 * 1024
"""Annotations are limited; of a larger object it is not known later what was applied, so nothing is removed from it."""
_ABSENT = object()
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


async def apply_all(installation: Installation, manifests: list[Manifest], namespace: str, dry_run: bool) -> bool:
    """Apply every manifest, Namespaces first; tell whether all went well."""
    good = True
    async with ApiClient(installation.server, installation.token) as api:
        discovery = await discover(api)
        for manifest in sorted(manifests, key=lambda each: each.kind != "Namespace"):
            try:
                await _apply(api, discovery, manifest, namespace, dry_run)
            except (Unavailable, Unauthenticated):
                raise
            except SkepError as error:
                good = False
                say(f"{manifest.place}: {manifest.kind} {manifest.name} is not applied")
                report(error)
    return good


async def _apply(api: ApiClient, discovery: Discovery, manifest: Manifest, namespace: str, dry_run: bool) -> None:
    kind, namespace = place_of(discovery, manifest, namespace)
    params = {"fieldManager": "skep", "dryRun": "All" if dry_run else ""}
    wanted = _with_last_applied(manifest.document, namespace if kind.namespaced else "")
    try:
        live = await api.get(kind.path(namespace, manifest.name))
    except NotFound:
        response = await api.send("POST", kind.path(namespace), wanted, params=params)
        outcome = "created"
    else:
        patch = merge_patch(_last_applied(live), wanted, live)
        if not patch:
            write(f"{kind.title}/{manifest.name} unchanged")
            return
        headers = {"content-type": PATCH_TYPES["merge"]}
        response = await api.send("PATCH", kind.path(namespace, manifest.name), patch, params=params, headers=headers)
        outcome = "configured" if _differs(live, response.json()) else "unchanged"
    write(f"{kind.title}/{manifest.name} {outcome}{' (dry run)' if dry_run else ''}")
    for text in warnings_of(response):
        warn(text)


def place_of(discovery: Discovery, manifest: Manifest, namespace: str) -> tuple[ServedKind, str]:
    """Return the kind of a manifest and the namespace it goes to."""
    if not manifest.kind or not manifest.name:
        missing = [field for field, value in (("kind", manifest.kind), ("metadata.name", manifest.name)) if not value]
        raise Invalid(f"{manifest.place}: {' and '.join(missing)} must be given")
    return discovery.of_manifest(manifest.api_version, manifest.kind), manifest.namespace or namespace


def warnings_of(response: httpx.Response) -> list[str]:
    """Return the texts of a response's Warning headers: `299 - "text"`."""
    texts = []
    for header in response.headers.get_list("warning"):
        quoted = _QUOTED.search(header)
        texts.append(re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else header)
    return texts


def merge_patch(last: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch that sets what is wanted and removes what was applied last and is not any more."""
    patch: dict[str, Any] = {}
    for name, value in wanted.items():
        present = live.get(name, _ABSENT)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            before = last.get(name)
            inner = merge_patch(before if isinstance(before, Mapping) else {}, value, present)
            if inner:
                patch[name] = inner
        elif present is _ABSENT or present != value:
            patch[name] = value
    return patch | {name: None for name in last if name not in wanted and name in live}


def _with_last_applied(document: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    metadata = dict(document.get("metadata") or {})
    if namespace:
        metadata["namespace"] = namespace
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != LAST_APPLIED}
    plain = {**document, "metadata": {**metadata, "annotations": annotations}}
    applied = json.dumps(plain, separators=(",", ":"), ensure_ascii=False) + "\n"
    if len(applied.encode()) <= LAST_APPLIED_BYTES:
        metadata["annotations"] = {**annotations, LAST_APPLIED: applied}
    return {**document, "metadata": metadata}


def _last_applied(live: Mapping[str, Any]) -> dict[str, Any]:
    text = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        document = json.loads(text) if text else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return bool(before["metadata"].get("resourceVersion") != after["metadata"].get("resourceVersion"))
