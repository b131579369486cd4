"""The kind HTTPRoute: which requests go where. Its parts are in `httproute_spec`; the rules that types do not state, here.

In: a parsed manifest. Out: all violations of the Gateway API's rules at once, with their paths.
"""

from collections.abc import Iterator, Sequence

from skep.model.resource import Record
from skep.model.violation import Violation
from skep.routing.httproute_spec import (
    BackendReference,
    HeaderFilter,
    HTTPRouteFilter,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPRouteSpec,
    ParentReference,
    PathModifier,
    Timeouts,
    ValueMatch,
)
from skep.routing.reference import check_group_kind, check_namespace, check_section, check_unique
from skep.routing.text import (
    check_duration,
    check_header_name,
    check_header_value,
    check_hostname,
    check_path,
    check_regex,
    check_replacement,
    duration_s,
)

MAX_MATCHES = 128
REDIRECTS = (301, 302, 303, 307, 308)
_REPEATABLE = frozenset({"RequestMirror", "ExtensionRef"})


class HTTPRoute(Record):
    """Which requests go where."""

    spec: HTTPRouteSpec


def validate_httproute(body: HTTPRoute) -> list[Violation]:
    """Return everything that is wrong with an HTTPRoute."""
    spec = body.spec
    found: list[Violation] = []
    for index, parent in enumerate(spec.parent_refs):
        found += _check_parent(f"spec.parentRefs[{index}]", parent)
    found += _check_parents_differ(spec.parent_refs)
    for index, hostname in enumerate(spec.hostnames):
        found += check_hostname(f"spec.hostnames[{index}]", hostname)
    named = [(f"spec.rules[{index}].name", rule.name) for index, rule in enumerate(spec.rules) if rule.name]
    found += check_unique(named, "the name of a rule")
    if sum(len(rule.matches) for rule in spec.rules) > MAX_MATCHES:
        found.append(Violation("spec.rules", "too-many", f"must hold at most {MAX_MATCHES} matches in all rules"))
    for index, rule in enumerate(spec.rules):
        found += _check_rule(f"spec.rules[{index}]", rule)
    return found


def _check_parent(path: str, parent: ParentReference) -> list[Violation]:
    return [
        *check_group_kind(path, parent.group, parent.kind),
        *check_namespace(path, parent.namespace),
        *check_section(f"{path}.sectionName", parent.section_name),
    ]


def _check_parents_differ(parents: Sequence[ParentReference]) -> list[Violation]:
    """Two references to one parent are told apart by sectionName or port, which both then set."""
    found = []
    seen: dict[tuple[str, str, str, str], list[ParentReference]] = {}
    for index, parent in enumerate(parents):
        earlier = seen.setdefault((parent.group, parent.kind, parent.namespace or "", parent.name), [])
        path = f"spec.parentRefs[{index}]"
        for other in earlier:
            if (other.section_name or "", other.port) == (parent.section_name or "", parent.port):
                message = "sectionName or port must be unique when several parentRefs name one parent"
                found.append(Violation(path, "duplicate", message))
                break
            if bool(other.section_name) != bool(parent.section_name) and bool(other.port) == bool(parent.port):
                message = "sectionName must be set in each parentRef that names the same parent, or in none"
                found.append(Violation(f"{path}.sectionName", "required", message))
                break
        earlier.append(parent)
    return found


def _check_rule(path: str, rule: HTTPRouteRule) -> list[Violation]:
    found = check_section(f"{path}.name", rule.name)
    for index, match in enumerate(rule.matches):
        found += _check_match(f"{path}.matches[{index}]", match)
    found += _check_filters(f"{path}.filters", rule.filters)
    for index, backend in enumerate(rule.backend_refs):
        here = f"{path}.backendRefs[{index}]"
        found += _check_backend(here, backend)
        found += _check_filters(f"{here}.filters", backend.filters)
    if rule.backend_refs and any(item.type == "RequestRedirect" for item in rule.filters):
        found.append(Violation(f"{path}.backendRefs", "invalid", "must be empty when the rule redirects"))
    found += _check_prefix_replacements(path, rule)
    if rule.timeouts is not None:
        found += _check_timeouts(f"{path}.timeouts", rule.timeouts)
    return found


def _check_match(path: str, match: HTTPRouteMatch) -> list[Violation]:
    check = check_regex if match.path.type == "RegularExpression" else check_path
    found = check(f"{path}.path.value", match.path.value)
    found += _check_values(f"{path}.headers", match.headers, 4096)
    found += _check_values(f"{path}.queryParams", match.query_params, 1024)
    return found


def _check_values(path: str, values: Sequence[ValueMatch], longest: int) -> list[Violation]:
    found: list[Violation] = []
    for index, value in enumerate(values):
        here = f"{path}[{index}]"
        found += check_header_name(f"{here}.name", value.name)
        if value.type == "RegularExpression":
            found += check_regex(f"{here}.value", value.value, longest)
        else:
            found += check_header_value(f"{here}.value", value.value[: longest + 1])
            if longest < len(value.value) <= 4096:
                found.append(Violation(f"{here}.value", "invalid", f"must have 1 to {longest} characters"))
    found += check_unique(((f"{path}[{index}].name", value.name) for index, value in enumerate(values)), "the name")
    return found


def _check_filters(path: str, filters: Sequence[HTTPRouteFilter]) -> list[Violation]:
    found: list[Violation] = []
    for index, item in enumerate(filters):
        found += _check_filter(f"{path}[{index}]", item)
    kinds = [(f"{path}[{index}].type", item.type) for index, item in enumerate(filters) if item.type not in _REPEATABLE]
    found += check_unique(kinds, "a filter of this type")
    if {"RequestRedirect", "URLRewrite"} <= {item.type for item in filters}:
        found.append(Violation(path, "invalid", "must not hold both RequestRedirect and URLRewrite"))
    return found


def _check_filter(path: str, item: HTTPRouteFilter) -> list[Violation]:
    settings = {
        "RequestHeaderModifier": ("requestHeaderModifier", item.request_header_modifier),
        "ResponseHeaderModifier": ("responseHeaderModifier", item.response_header_modifier),
        "RequestMirror": ("requestMirror", item.request_mirror),
        "RequestRedirect": ("requestRedirect", item.request_redirect),
        "URLRewrite": ("urlRewrite", item.url_rewrite),
        "ExtensionRef": ("extensionRef", item.extension_ref),
        "CORS": ("cors", item.cors),
        "ExternalAuth": ("externalAuth", item.external_auth),
    }
    found = []
    for kind, (field, value) in settings.items():
        if value is None and kind == item.type:
            found.append(Violation(f"{path}.{field}", "required", f"must be set when type is {kind}"))
        if value is not None and kind != item.type:
            found.append(Violation(f"{path}.{field}", "invalid", f"must not be set when type is {item.type}"))
    for field, change in (
        ("requestHeaderModifier", item.request_header_modifier),
        ("responseHeaderModifier", item.response_header_modifier),
    ):
        if change is not None:
            found += _check_headers(f"{path}.{field}", change)
    found.extend(_check_destination(path, item))
    return found


def _check_destination(path: str, item: HTTPRouteFilter) -> Iterator[Violation]:
    if (redirect := item.request_redirect) is not None:
        here = f"{path}.requestRedirect"
        if redirect.hostname is not None:
            yield from check_hostname(f"{here}.hostname", redirect.hostname, wildcard=False)
        if redirect.status_code not in REDIRECTS:
            yield Violation(f"{here}.statusCode", "invalid", "must be 301, 302, 303, 307 or 308")
        yield from _check_modifier(f"{here}.path", redirect.path)
    if (rewrite := item.url_rewrite) is not None:
        here = f"{path}.urlRewrite"
        if rewrite.hostname is not None:
            yield from check_hostname(f"{here}.hostname", rewrite.hostname, wildcard=False)
        yield from _check_modifier(f"{here}.path", rewrite.path)
    if (mirror := item.request_mirror) is not None:
        here = f"{path}.requestMirror"
        yield from _check_backend(f"{here}.backendRef", mirror.backend_ref)
        if mirror.percent is not None and mirror.fraction is not None:
            yield Violation(here, "invalid", "must set percent or fraction, not both")
        if mirror.fraction is not None and mirror.fraction.numerator > mirror.fraction.denominator:
            yield Violation(f"{here}.fraction.numerator", "invalid", "must be at most the denominator")
    if item.extension_ref is not None:
        yield from check_group_kind(f"{path}.extensionRef", item.extension_ref.group, item.extension_ref.kind)


def _check_modifier(path: str, change: PathModifier | None) -> list[Violation]:
    if change is None:
        return []
    found = []
    for kind, field, value in (
        ("ReplaceFullPath", "replaceFullPath", change.replace_full_path),
        ("ReplacePrefixMatch", "replacePrefixMatch", change.replace_prefix_match),
    ):
        if value is None and kind == change.type:
            found.append(Violation(f"{path}.{field}", "required", f"must be set when type is {kind}"))
        if value is not None:
            if kind != change.type:
                found.append(Violation(f"{path}.{field}", "invalid", f"must not be set when type is {change.type}"))
            found += check_replacement(f"{path}.{field}", value)
    return found


def _check_headers(path: str, change: HeaderFilter) -> list[Violation]:
    found: list[Violation] = []
    names = []
    for action, settings in (("set", change.set), ("add", change.add)):
        for index, setting in enumerate(settings):
            found += check_header_value(f"{path}.{action}[{index}].value", setting.value)
            names.append((f"{path}.{action}[{index}].name", setting.name))
    names += [(f"{path}.remove[{index}]", name) for index, name in enumerate(change.remove)]
    for here, name in names:
        found += check_header_name(here, name)
        if name.lower() == "host":
            found.append(Violation(here, "invalid", "the Host header is changed by the filter URLRewrite (hostname)"))
    found += check_unique(((here, name.lower()) for here, name in names), "a header's name in one filter")
    return found


def _check_backend(path: str, backend: BackendReference) -> list[Violation]:
    found = check_group_kind(path, backend.group, backend.kind)
    found += check_namespace(path, backend.namespace)
    if backend.group == "" and backend.kind == "Service" and backend.port is None:
        found.append(Violation(f"{path}.port", "required", "must be set for a Service"))
    return found


def _check_prefix_replacements(path: str, rule: HTTPRouteRule) -> list[Violation]:
    if not rule.matches or (len(rule.matches) == 1 and rule.matches[0].path.type == "PathPrefix"):
        return []  # without matches the rule has the one prefix "/"
    places = [(f"{path}.filters[{index}]", item) for index, item in enumerate(rule.filters)]
    for index, backend in enumerate(rule.backend_refs):
        here = f"{path}.backendRefs[{index}].filters"
        places += [(f"{here}[{place}]", item) for place, item in enumerate(backend.filters)]
    return [
        Violation(f"{place}.{field}.path", "invalid", "ReplacePrefixMatch needs exactly one match, of type PathPrefix")
        for place, item in places
        for field, setting in (("requestRedirect", item.request_redirect), ("urlRewrite", item.url_rewrite))
        if setting is not None and setting.path is not None and setting.path.type == "ReplacePrefixMatch"
    ]


def _check_timeouts(path: str, timeouts: Timeouts) -> list[Violation]:
    found = []
    for field, text in (("request", timeouts.request), ("backendRequest", timeouts.backend_request)):
        if text is not None:
            found += check_duration(f"{path}.{field}", text)
    whole, attempt = duration_s(timeouts.request or ""), duration_s(timeouts.backend_request or "")
    if whole and attempt and attempt > whole:
        found.append(Violation(f"{path}.backendRequest", "invalid", "must not be longer than request"))
    return found
