"""Routes: a match, and what happens to the request that satisfies it."""

import msgspec

from skep.ir.match import RequestMatch
from skep.model.names import ObjectRef


class Origin(msgspec.Struct, frozen=True, order=True):
    """The declaration a piece of configuration comes from: whom to tell when a proxy refuses it."""

    ref: ObjectRef
    generation: int
    field: str = ""
    """The path inside the object: `spec.rules[2]`."""


class HeaderValue(msgspec.Struct, frozen=True):
    """A header and the value it gets."""

    name: str
    value: str


class HeaderChange(msgspec.Struct, frozen=True):
    """What happens to headers, in the order: remove, set, add."""

    set: tuple[HeaderValue, ...] = ()
    add: tuple[HeaderValue, ...] = ()
    remove: tuple[str, ...] = ()


NO_CHANGE = HeaderChange()


class PathFull(msgspec.Struct, frozen=True, tag="full"):
    """The whole path becomes this."""

    value: str


class PathPrefixReplaced(msgspec.Struct, frozen=True, tag="prefix"):
    """The matched prefix becomes this; the rest of the path stays."""

    value: str


PathChange = PathFull | PathPrefixReplaced


class Rewrite(msgspec.Struct, frozen=True):
    """The request as the backend sees it."""

    hostname: str = ""
    path: PathChange | None = None


class Backend(msgspec.Struct, frozen=True):
    """One share of a route's requests."""

    upstream: str
    """An `Upstream.name`; empty when the reference is invalid: that share answers 500."""
    weight: int = 1
    request_headers: HeaderChange = NO_CHANGE
    response_headers: HeaderChange = NO_CHANGE


class Mirror(msgspec.Struct, frozen=True):
    """A copy of requests whose answer is thrown away."""

    upstream: str
    numerator: int = 100
    denominator: int = 100


class Forward(msgspec.Struct, frozen=True, tag="forward"):
    """Send to one of the backends, chosen by weight."""

    backends: tuple[Backend, ...]
    mirrors: tuple[Mirror, ...] = ()
    rewrite: Rewrite | None = None
    request_headers: HeaderChange = NO_CHANGE
    response_headers: HeaderChange = NO_CHANGE
    timeout_s: float | None = None
    """For the whole request; 0 for none; None for the proxy's default."""
    attempt_timeout_s: float | None = None
    """For one attempt at a backend."""


class Redirect(msgspec.Struct, frozen=True, tag="redirect"):
    """Answer with another location; what is empty stays as the request had it."""

    status: int = 302
    scheme: str = ""
    hostname: str = ""
    port: int = 0
    path: PathChange | None = None
    response_headers: HeaderChange = NO_CHANGE


class Respond(msgspec.Struct, frozen=True, tag="respond"):
    """Answer from the proxy itself."""

    status: int
    body: str = ""
    response_headers: HeaderChange = NO_CHANGE


Action = Forward | Redirect | Respond


class Route(msgspec.Struct, frozen=True):
    """One match of one rule."""

    name: str
    """`Kind/namespace/name/rule-index/match-index`: what call records name."""
    match: RequestMatch
    action: Action
    origin: Origin


class VirtualHost(msgspec.Struct, frozen=True):
    """Routes for some hostnames, most specific first: the first that matches decides."""

    name: str
    hostnames: tuple[str, ...]
    """`shop.example`, `*.shop.example` or `*`, without ports."""
    routes: tuple[Route, ...] = ()
