"""What happens to a request that took a rule: its filters, backends and timeouts as one action.

In: a rule and what its references resolve to. Out: an action, and notes on what could not be done as asked.
"""

from collections.abc import Sequence

import msgspec

from skep.compiler.effective import service_ref
from skep.compiler.memo import Memo
from skep.compiler.references import may_refer, routes_of
from skep.compiler.services import Lookup, find
from skep.ir.route import (
    NO_CHANGE,
    Action,
    Backend,
    Forward,
    HeaderChange,
    HeaderValue,
    Mirror,
    PathChange,
    PathFull,
    PathPrefixReplaced,
    Redirect,
    Respond,
    Rewrite,
)
from skep.routing import httproute_spec as spec
from skep.routing.text import duration_s

BROKEN = 500
_WELL_KNOWN = {"http": 80, "https": 443}
_ON_BACKENDS = frozenset({"RequestHeaderModifier", "ResponseHeaderModifier"})
_IGNORED_FILTER = "CORS"
_UNSUPPORTED = frozenset({"ExtensionRef", "ExternalAuth"})


class Entry(msgspec.Struct, frozen=True):
    """Where calls enter: the scheme and port of a listener; empty inside the mesh."""

    scheme: str = ""
    port: int = 0


class Notes:
    """Collects what could not be done as asked while one rule is compiled."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.unsupported: list[str] = []
        """Why the whole rule answers 500."""
        self.partial: list[str] = []
        """Why a share of its requests does."""
        self.unresolved: list[tuple[str, str, str]] = []
        self.ignored: list[str] = []


def action_of(memo: Memo, namespace: str, rule: spec.HTTPRouteRule, entry: Entry, notes: Notes) -> Action:
    """Return what a rule does, and note what it cannot do."""
    backends = _backends(memo, namespace, rule, notes)
    mirrors = _mirrors(memo, namespace, rule, notes)
    _note_filters(rule.filters, notes)
    for field, value in (("retry", rule.retry), ("sessionPersistence", rule.session_persistence)):
        if value is not None:
            notes.ignored.append(f"{notes.path}.{field}")
    if notes.unsupported:
        return Respond(BROKEN)
    request, response = _header_changes(rule.filters)
    redirect = next((item.request_redirect for item in rule.filters if item.type == "RequestRedirect"), None)
    if redirect is not None:
        return _redirect(redirect, entry, response)
    if not any(backend.upstream for backend in backends):
        return Respond(BROKEN)
    timeouts = rule.timeouts or spec.Timeouts()
    return Forward(
        backends=backends,
        mirrors=mirrors,
        rewrite=_rewrite(rule.filters),
        request_headers=request,
        response_headers=response,
        timeout_s=duration_s(timeouts.request or ""),
        attempt_timeout_s=duration_s(timeouts.backend_request or ""),
    )


def look_up(memo: Memo, namespace: str, reference: spec.BackendReference) -> Lookup:
    """Resolve a backend reference made by a route of `namespace`."""
    if reference.group or reference.kind != "Service":
        return Lookup(reason="InvalidKind", message=f"a backend must be a Service, not {reference.kind}")
    target = service_ref(reference.namespace or namespace, reference.name)
    if not may_refer(memo, routes_of(namespace), target):
        grant = f"no ReferenceGrant in {target.namespace} lets HTTPRoutes of {namespace} refer to {target}"
        return Lookup(reason="RefNotPermitted", message=grant)
    if reference.port is None:
        return Lookup(reason="BackendNotFound", message="the reference names no port")
    return memo.get(find, target.namespace, target.name, reference.port)


def _backends(memo: Memo, namespace: str, rule: spec.HTTPRouteRule, notes: Notes) -> tuple[Backend, ...]:
    """Return the backends that get a share; invalid ones keep theirs, without an upstream."""
    found = []
    for index, reference in enumerate(rule.backend_refs):
        field = f"{notes.path}.backendRefs[{index}]"
        lookup = look_up(memo, namespace, reference)
        if lookup.reason:
            notes.unresolved.append((field, lookup.reason, lookup.message))
        strange = [item.type for item in reference.filters if item.type not in _ON_BACKENDS]
        if strange:
            said = f"{field}: the filter {strange[0]} is not supported on a backend; its share of requests answers 500"
            notes.partial.append(said)
        if reference.weight:
            request, response = _header_changes(reference.filters)
            reached = "" if strange else lookup.upstream
            found.append(Backend(reached, reference.weight, request_headers=request, response_headers=response))
    return tuple(found)


def _mirrors(memo: Memo, namespace: str, rule: spec.HTTPRouteRule, notes: Notes) -> tuple[Mirror, ...]:
    found = []
    for index, item in enumerate(rule.filters):
        if item.type != "RequestMirror" or item.request_mirror is None:
            continue
        mirror = item.request_mirror
        lookup = look_up(memo, namespace, mirror.backend_ref)
        if lookup.reason:
            field = f"{notes.path}.filters[{index}].requestMirror.backendRef"
            notes.unresolved.append((field, lookup.reason, lookup.message))
            continue
        if mirror.fraction is not None:
            numerator, denominator = mirror.fraction.numerator, mirror.fraction.denominator
        else:
            numerator, denominator = (100 if mirror.percent is None else mirror.percent), 100
        if numerator:
            found.append(Mirror(lookup.upstream, numerator, denominator))
    return tuple(found)


def _note_filters(filters: Sequence[spec.HTTPRouteFilter], notes: Notes) -> None:
    for index, item in enumerate(filters):
        if item.type in _UNSUPPORTED:
            notes.unsupported.append(f"{notes.path}.filters[{index}]: the filter {item.type} is not supported")
        if item.type == _IGNORED_FILTER:
            notes.ignored.append(f"{notes.path}.filters[{index}].cors")


def _header_changes(filters: Sequence[spec.HTTPRouteFilter]) -> tuple[HeaderChange, HeaderChange]:
    request = response = NO_CHANGE
    for item in filters:
        if item.type == "RequestHeaderModifier" and item.request_header_modifier is not None:
            request = _header_change(item.request_header_modifier)
        if item.type == "ResponseHeaderModifier" and item.response_header_modifier is not None:
            response = _header_change(item.response_header_modifier)
    return request, response


def _header_change(change: spec.HeaderFilter) -> HeaderChange:
    return HeaderChange(
        set=tuple(HeaderValue(item.name, item.value) for item in change.set),
        add=tuple(HeaderValue(item.name, item.value) for item in change.add),
        remove=change.remove,
    )


def _rewrite(filters: Sequence[spec.HTTPRouteFilter]) -> Rewrite | None:
    for item in filters:
        if item.type == "URLRewrite" and item.url_rewrite is not None:
            return Rewrite(hostname=item.url_rewrite.hostname or "", path=_path_change(item.url_rewrite.path))
    return None


def _path_change(change: spec.PathModifier | None) -> PathChange | None:
    if change is None:
        return None
    if change.type == "ReplaceFullPath":
        return PathFull(change.replace_full_path or "/")
    return PathPrefixReplaced(change.replace_prefix_match or "/")


def _redirect(redirect: spec.RedirectFilter, entry: Entry, response: HeaderChange) -> Redirect:
    return Redirect(
        status=redirect.status_code,
        scheme=redirect.scheme or "",
        hostname=redirect.hostname or "",
        port=_redirect_port(redirect, entry),
        path=_path_change(redirect.path),
        response_headers=response,
    )


def _redirect_port(redirect: spec.RedirectFilter, entry: Entry) -> int:
    """Return the port to show; 0 when the location needs none, or shows the one the request came with.

    Without a port of its own a redirect leads to the scheme's well-known port, or else to the listener's.
    """
    scheme = redirect.scheme or entry.scheme or "http"
    port = redirect.port or (_WELL_KNOWN[scheme] if redirect.scheme else entry.port)
    if port == _WELL_KNOWN[scheme]:
        request_shows_none = bool(redirect.hostname) or entry.port in (0, _WELL_KNOWN.get(entry.scheme, 0))
        return 0 if request_shows_none else port
    return 0 if port == entry.port and not redirect.hostname else port
