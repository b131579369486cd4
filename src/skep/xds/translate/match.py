"""Matches: IR RequestMatch -> RouteMatch, and the literal start that every path it takes must have."""

import re
from typing import assert_never

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.type.matcher.v3 import regex_pb2, string_pb2

from skep.ir.match import PathExact, PathPrefix, PathRegex, RequestMatch, ValueMatch

_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


def translate_match(match: RequestMatch) -> pb.RouteMatch:
    """Build the match of a route."""
    out = pb.RouteMatch()
    path = match.path
    if isinstance(path, PathExact):
        out.path = path.value
    elif isinstance(path, PathPrefix):
        # Envoy's element-wise prefix may not be the root, which takes everything anyway.
        if prefix := path.value.rstrip("/"):
            out.path_separated_prefix = prefix
        else:
            out.prefix = "/"
    elif isinstance(path, PathRegex):
        out.safe_regex.regex = path.value
    else:
        assert_never(path)
    if match.method:
        out.headers.append(pb.HeaderMatcher(name=":method", string_match=string_pb2.StringMatcher(exact=match.method)))
    out.headers.extend(pb.HeaderMatcher(name=h.name, string_match=_value(h)) for h in match.headers)
    out.query_parameters.extend(pb.QueryParameterMatcher(name=q.name, string_match=_value(q)) for q in match.queries)
    return out


def _value(match: ValueMatch) -> string_pb2.StringMatcher:
    if match.regex:
        return string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=match.value))
    return string_pb2.StringMatcher(exact=match.value)


def literal_start(match: RequestMatch) -> str:
    """Return characters with which every path that the match takes begins; empty when nothing is certain."""
    path = match.path
    if isinstance(path, PathExact):
        return path.value
    if isinstance(path, PathPrefix):
        return path.value.rstrip("/") or "/"
    return regex_start(path.value)


def takes_whole_elements(match: RequestMatch) -> bool:
    """Tell whether what follows the certain start of a path can only be its end, a slash or a query."""
    return isinstance(match.path, PathExact) or (isinstance(match.path, PathPrefix) and literal_start(match) != "/")


def regex_start(regex: str) -> str:
    """Return the characters an expression must begin with: sure ones only."""
    if "|" in regex:
        return ""
    body = regex.removeprefix("^")
    found = _META.search(body)
    if found is None:
        return body
    # What a quantifier follows may be absent.
    end = found.start() - 1 if found.group() in "*?{" else found.start()
    return body[: max(end, 0)]
