"""The parts of an HTTPRoute, as the Gateway API 1.6 declares them: the shapes and limits that types can state.

In: a manifest. Out: records, which `httproute` makes into the kind and checks further.
Fields that Skep does not act on yet are declared and marked, so that a write which sets them is answered with a warning.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt
from pydantic.config import JsonDict

from skep.model.names import GATEWAY_GROUP
from skep.model.resource import Record
from skep.routing.reference import ObjectName, Port

_LATER: JsonDict = {"unhonoured": "not supported yet; the route works without it"}
_REFUSED: JsonDict = {"unhonoured": "not supported; the rule answers 500"}

MatchType = Literal["Exact", "RegularExpression"]
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
FilterType = Literal[
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestMirror",
    "RequestRedirect",
    "URLRewrite",
    "ExtensionRef",
    "CORS",
    "ExternalAuth",
]


class ParentReference(Record):
    """What the route attaches to: a Gateway, one of its listeners, or a Service."""

    group: str = GATEWAY_GROUP
    kind: str = "Gateway"
    namespace: str | None = None
    name: ObjectName
    section_name: str | None = None
    """The listener of a Gateway, or the port of a Service, by name."""
    port: Port | None = None


class PathMatch(Record):
    """A condition on the path."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: str = "/"


class ValueMatch(Record):
    """A condition on a header or a query parameter."""

    type: MatchType = "Exact"
    name: str
    value: str


class HTTPRouteMatch(Record):
    """Conditions on a request, all of which hold."""

    path: PathMatch = Field(default_factory=PathMatch)
    headers: tuple[ValueMatch, ...] = Field(default=(), max_length=16)
    query_params: tuple[ValueMatch, ...] = Field(default=(), max_length=16)
    method: Method | None = None


class HeaderSetting(Record):
    """A header and its value."""

    name: str
    value: str


class HeaderFilter(Record):
    """Changes to headers."""

    set: tuple[HeaderSetting, ...] = Field(default=(), max_length=16)
    add: tuple[HeaderSetting, ...] = Field(default=(), max_length=16)
    remove: tuple[str, ...] = Field(default=(), max_length=16)


class PathModifier(Record):
    """A change of the path."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class RedirectFilter(Record):
    """An answer that sends the caller elsewhere."""

    scheme: Literal["http", "https"] | None = None
    hostname: str | None = None
    path: PathModifier | None = None
    port: Port | None = None
    status_code: StrictInt = 302


class RewriteFilter(Record):
    """A change of the request before it is forwarded."""

    hostname: str | None = None
    path: PathModifier | None = None


class BackendReference(Record):
    """Names a port of a Service."""

    group: str = ""
    kind: str = "Service"
    name: ObjectName
    namespace: str | None = None
    port: Port | None = None


class Fraction(Record):
    """A share of requests."""

    numerator: Annotated[StrictInt, Field(ge=0)]
    denominator: Annotated[StrictInt, Field(ge=1)] = 100


class MirrorFilter(Record):
    """Copies of requests that go to another backend too."""

    backend_ref: BackendReference
    percent: Annotated[StrictInt, Field(ge=0, le=100)] | None = None
    fraction: Fraction | None = None


class ExtensionReference(Record):
    """Names a filter of some controller's own kind."""

    group: str
    kind: str
    name: ObjectName


class HTTPRouteFilter(Record):
    """One thing that is done to a request or its response."""

    type: FilterType
    request_header_modifier: HeaderFilter | None = None
    response_header_modifier: HeaderFilter | None = None
    request_mirror: MirrorFilter | None = None
    request_redirect: RedirectFilter | None = None
    url_rewrite: RewriteFilter | None = None
    extension_ref: ExtensionReference | None = Field(default=None, json_schema_extra=_REFUSED)
    cors: Any = Field(default=None, json_schema_extra=_LATER)
    external_auth: Any = Field(default=None, json_schema_extra=_REFUSED)


class HTTPBackendReference(BackendReference):
    """A backend and its share of the requests."""

    weight: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 1
    filters: tuple[HTTPRouteFilter, ...] = Field(default=(), max_length=16)


class Timeouts(Record):
    """How long a request may take, as GEP-2257 durations; 0s for no limit."""

    request: str | None = None
    backend_request: str | None = None


class HTTPRouteRule(Record):
    """Matches, and what happens to a request that satisfies one of them."""

    name: str | None = None
    matches: tuple[HTTPRouteMatch, ...] = Field(default=(), max_length=64)
    filters: tuple[HTTPRouteFilter, ...] = Field(default=(), max_length=16)
    backend_refs: tuple[HTTPBackendReference, ...] = Field(default=(), max_length=16)
    timeouts: Timeouts | None = None
    retry: Any = Field(default=None, json_schema_extra=_LATER)
    session_persistence: Any = Field(default=None, json_schema_extra=_LATER)


class HTTPRouteSpec(Record):
    """What the author wrote."""

    parent_refs: tuple[ParentReference, ...] = Field(default=(), max_length=32)
    hostnames: tuple[str, ...] = Field(default=(), max_length=16)
    rules: tuple[HTTPRouteRule, ...] = Field(default_factory=lambda: (HTTPRouteRule(),), max_length=16)
    use_default_gateways: Any = Field(default=None, json_schema_extra=_LATER)
