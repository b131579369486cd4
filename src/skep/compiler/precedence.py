"""Which of two matches decides when a request satisfies both: the order of the Gateway API.

In: a match and the route it belongs to. Out: a key; the lower one decides. Computed once for each match.
"""

import msgspec

from skep.ir.match import PathExact, PathRegex, RequestMatch
from skep.ir.route import Route
from skep.model.resource import Meta

Key = tuple[int, int, int, int, int, str, str, str, int, int]


class Ranked(msgspec.Struct, frozen=True):
    """A route and its place among others."""

    key: Key
    route: Route


def rank(match: RequestMatch, meta: Meta, rule: int, place: int) -> Key:
    """Return the key: exact paths, then expressions, then prefixes, longer ones first; method; more headers; more query
    parameters; older objects; namespace and name; the order of rules and matches.
    """
    kind = 0 if isinstance(match.path, PathExact) else 1 if isinstance(match.path, PathRegex) else 2
    return (
        kind,
        -len(match.path.value),
        0 if match.method else 1,
        -len(match.headers),
        -len(match.queries),
        meta.created,
        meta.namespace,
        meta.name,
        rule,
        place,
    )
