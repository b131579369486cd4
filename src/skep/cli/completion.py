"""What the shell offers after `skep get`: kinds, and the names of objects that the server has. Never an error: then nothing.

The standard library asks: a key press must not wait for a whole HTTP client to be imported.
"""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import typer

from skep.cli.options import DEFAULT_DATA_DIR, Installation, locate

LIMIT_S = 1.0
MAX_BYTES = 8 * 1024 * 1024
_METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


def complete_words(context: typer.Context, incomplete: str) -> list[str]:
    """Offer kinds first, then names of that kind; `KIND/NAME` too."""
    from skep.kinds import KINDS, Kind

    def find(word: str) -> Kind | None:
        return next((kind for kind in KINDS if word in (kind.plural, kind.singular, *kind.short_names)), None)

    words = context.params.get("words") or ()
    word, slash, _ = incomplete.partition("/")
    kind = find(word) if slash else find(words[0]) if words else None
    if kind is None:
        return sorted(kind.plural for kind in KINDS if kind.plural.startswith(incomplete)) if not words else []
    group = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    namespace = quote(str(context.params.get("namespace") or "default"), safe="")
    path = f"{group}/namespaces/{namespace}/{kind.plural}" if kind.namespaced else f"{group}/{kind.plural}"
    offered = (f"{word}/{name}" if slash else name for name in names_at(_installation(context.params), path))
    return sorted(name for name in offered if name.startswith(incomplete) and name not in words)


def names_at(installation: Installation, path: str) -> list[str]:
    """Return the names in a collection; none when no server answers soon."""
    address = urlsplit(installation.server)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=LIMIT_S)
    try:
        headers = {"authorization": f"Bearer {installation.token}", "accept": _METADATA}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        found = json.loads(answer.read(MAX_BYTES)) if answer.status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError):
        return []
    finally:
        connection.close()
    return [item["metadata"]["name"] for item in found.get("items", ())]


def _installation(params: Mapping[str, Any]) -> Installation:
    return locate(
        params.get("server") or "",
        params.get("token") or "",
        params.get("data_dir") or DEFAULT_DATA_DIR,
        params.get("host") or "127.0.0.1",
        params.get("http_port") or 7400,
    )
