"""How big and how deep what a caller sends may be, so that no request can exhaust the server. Pure."""

from typing import Any

from skep.errors import Invalid

MAX_BODY_BYTES = 3 * 1024 * 1024
MAX_DEPTH = 48
MAX_NODES = 500_000
MAX_COPIED_NODES = 20_000
"""How big a document may be of which a patch copies parts: copies of copies double."""


def check_depth(document: Any, max_nodes: int = MAX_NODES) -> None:
    """Raise `Invalid` for a document nested too deeply or of too many parts."""
    level: list[Any] = [document]
    nodes = 0
    for _ in range(MAX_DEPTH + 1):
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                following.extend(value.values())
            elif isinstance(value, list):
                following.extend(value)
        nodes += len(following)
        if nodes > max_nodes:
            raise Invalid(f"the document has more than {max_nodes} values")
        if not following:
            return
        level = following
    raise Invalid(f"the document is nested deeper than {MAX_DEPTH} levels")
