"""Changed paths: what the Gateway API asks for -> one of Envoy's three ways to rewrite, corner cases included."""

import re
from typing import NamedTuple

from skep.ir.match import PathPrefix, RequestMatch
from skep.ir.route import PathChange, PathFull


class PathRewrite(NamedTuple):
    """Either a new prefix for the matched one, or an expression and what its match becomes."""

    prefix: str = ""
    regex: str = ""
    substitution: str = ""


def rewrite_path(change: PathChange, match: RequestMatch) -> PathRewrite | None:
    """Say how the path changes; None when it stays as it is.

    A prefix is replaced by whole elements (HTTPPathModifier's table): `/foo` -> `/` must give `/bar` for `/foo/bar`, not
    `//bar`, and `/` for `/foo`, which a plain prefix rewrite cannot; and `/` -> `/x` must give `/x/a` for `/a`.
    """
    if isinstance(change, PathFull) or not isinstance(match.path, PathPrefix):
        return PathRewrite(regex="^/.*$", substitution=_literal(change.value or "/"))
    matched = match.path.value.rstrip("/")
    replacement = change.value.rstrip("/")
    if matched and replacement:
        return PathRewrite(prefix=replacement)
    if matched:
        return PathRewrite(regex=f"^{re.escape(matched)}/?", substitution="/")
    if replacement:
        return PathRewrite(prefix=f"{replacement}/")
    return None


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\")
