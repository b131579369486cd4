"""One HTTPRoute, compiled: each match of each rule becomes a ranked route, and what is wrong becomes findings.

In: the route and what its backends resolve to. Out: `Compiled`. A rule that cannot be honoured answers 500; it never
lets its requests fall through to another route, and never spoils its neighbours.
"""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from skep.compiler import facts
from skep.compiler.actions import Entry, Notes, action_of
from skep.compiler.effective import as_kind, http_route
from skep.compiler.memo import Memo
from skep.compiler.precedence import Ranked, rank
from skep.ir.match import PathExact, PathMatch, PathPrefix, PathRegex, RequestMatch, ValueMatch
from skep.ir.route import Forward, Origin, Route
from skep.model.names import ObjectRef
from skep.model.resource import Resource
from skep.routing import httproute_spec as spec
from skep.routing.httproute import HTTPRoute

NO_ENTRY = Entry()
_KEY = attrgetter("key")
DEFAULT_MATCHES = (spec.HTTPRouteMatch(),)


class Finding(msgspec.Struct, frozen=True):
    """Something about a route that its author should know."""

    field: str
    reason: str
    message: str


class Findings(msgspec.Struct, frozen=True):
    """What there is to say about a route, whatever it is attached to."""

    rules: int
    unsupported: tuple[Finding, ...] = ()
    """Rules that answer 500 because they ask for something unknown."""
    partial: tuple[Finding, ...] = ()
    """Backends whose share answers 500 for the same reason."""
    unresolved: tuple[Finding, ...] = ()
    """References that lead nowhere."""
    ignored: tuple[str, ...] = ()
    """Fields that have no effect yet."""


class Compiled(msgspec.Struct, frozen=True):
    """A route's rules as a proxy carries them out."""

    ranked: tuple[Ranked, ...]
    upstreams: tuple[str, ...]
    """The upstreams it may send to, sorted."""


NOTHING = Compiled((), ())


def compiled(memo: Memo, ref: ObjectRef, entry: Entry) -> Compiled:
    """Compile the form of a route that is in force, for calls that enter at `entry`."""
    route = http_route(memo, ref)
    if route is None:
        return NOTHING
    if entry != NO_ENTRY and not _redirects(route.body):
        return memo.get(compiled, ref, NO_ENTRY)
    ranked: list[Ranked] = []
    upstreams: set[str] = set()
    for index, rule in enumerate(route.body.spec.rules):
        action = action_of(memo, route.meta.namespace, rule, entry, Notes(f"spec.rules[{index}]"))
        if isinstance(action, Forward):
            upstreams.update(backend.upstream for backend in action.backends if backend.upstream)
            upstreams.update(mirror.upstream for mirror in action.mirrors)
        origin = Origin(ref, route.meta.generation, f"spec.rules[{index}]")
        for place, match in enumerate(rule.matches or DEFAULT_MATCHES):
            request = _match_of(match)
            name = f"{ref.kind}/{ref.namespace}/{ref.name}/{index}/{place}"
            ranked.append(Ranked(rank(request, route.meta, index, place), Route(name, request, action, origin)))
    ranked.sort(key=_KEY)
    return Compiled(tuple(ranked), tuple(sorted(upstreams)))


def upstreams_of(memo: Memo, ref: ObjectRef) -> tuple[str, ...]:
    """Return the upstreams a route may send to, sorted."""
    return memo.get(compiled, ref, NO_ENTRY).upstreams


def findings(memo: Memo, ref: ObjectRef) -> Findings:
    """Say what is wrong with a route as its author last wrote it."""
    route = as_kind(facts.resource(memo, ref), HTTPRoute)
    return _find(memo, route) if route is not None else Findings(0)


def merged(parts: Sequence[Compiled]) -> tuple[Route, ...]:
    """Merge compiled routes by precedence."""
    if len(parts) == 1:
        return tuple(item.route for item in parts[0].ranked)
    return tuple(item.route for item in sorted((item for part in parts for item in part.ranked), key=_KEY))


def _redirects(body: HTTPRoute) -> bool:
    """Tell whether a route answers with redirects: only those depend on where calls enter."""
    return any(item.type == "RequestRedirect" for rule in body.spec.rules for item in rule.filters)


def _find(memo: Memo, route: Resource[HTTPRoute]) -> Findings:
    unsupported: list[Finding] = []
    partial: list[Finding] = []
    unresolved: list[Finding] = []
    ignored: list[str] = []
    for index, rule in enumerate(route.body.spec.rules):
        path = f"spec.rules[{index}]"
        notes = Notes(path)
        action_of(memo, route.meta.namespace, rule, NO_ENTRY, notes)
        unsupported += [Finding(path, "UnsupportedValue", message) for message in notes.unsupported]
        partial += [Finding(path, "UnsupportedValue", message) for message in notes.partial]
        unresolved += [Finding(field, reason, message) for field, reason, message in notes.unresolved]
        ignored += notes.ignored
    return Findings(len(route.body.spec.rules), tuple(unsupported), tuple(partial), tuple(unresolved), tuple(ignored))


def _match_of(match: spec.HTTPRouteMatch) -> RequestMatch:
    return RequestMatch(
        path=_path_of(match.path),
        method=match.method or "",
        headers=_values_of(match.headers, fold=True),
        queries=_values_of(match.query_params, fold=False),
    )


def _path_of(path: spec.PathMatch) -> PathMatch:
    match path.type:
        case "Exact":
            return PathExact(path.value)
        case "RegularExpression":
            return PathRegex(path.value)
        case "PathPrefix":
            return PathPrefix(path.value.rstrip("/") or "/")


def _values_of(values: Sequence[spec.ValueMatch], *, fold: bool) -> tuple[ValueMatch, ...]:
    """Of several conditions on one name only the first counts; headers' names are folded to lower case."""
    found: dict[str, ValueMatch] = {}
    for value in values:
        name = value.name.lower() if fold else value.name
        found.setdefault(name, ValueMatch(name, value.value, regex=value.type == "RegularExpression"))
    return tuple(found.values())
