"""What a request must look like to take a route."""

import msgspec


class PathExact(msgspec.Struct, frozen=True, tag="exact"):
    """The whole path, without the query."""

    value: str


class PathPrefix(msgspec.Struct, frozen=True, tag="prefix"):
    """Whole path elements: `/a` takes `/a` and `/a/b`, not `/ab`. No trailing slash, but for the root."""

    value: str


class PathRegex(msgspec.Struct, frozen=True, tag="regex"):
    """An RE2 expression that the whole path, without the query, satisfies."""

    value: str


PathMatch = PathExact | PathPrefix | PathRegex


class ValueMatch(msgspec.Struct, frozen=True):
    """A named header or query parameter whose value is given, or satisfies an RE2 expression."""

    name: str
    value: str
    regex: bool = False


class RequestMatch(msgspec.Struct, frozen=True):
    """All of these together."""

    path: PathMatch = PathPrefix("/")
    method: str = ""
    """Empty for any."""
    headers: tuple[ValueMatch, ...] = ()
    queries: tuple[ValueMatch, ...] = ()
