"""Routes: IR Route -> Envoy Route. In: one route; out: one message. Never knows which proxy it is for."""

from typing import assert_never

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.filters.http.fault.v3 import fault_pb2

from skep.ir.match import RequestMatch
from skep.ir.route import NO_CHANGE, Backend, Forward, Mirror, Redirect, Respond, Route
from skep.xds.translate.headers import apply_headers
from skep.xds.translate.match import translate_match
from skep.xds.translate.names import INVALID
from skep.xds.translate.path import PathRewrite, rewrite_path
from skep.xds.translate.retry import default_retry
from skep.xds.translate.wire import pack

FAULT = "envoy.filters.http.fault"
_MILLION = 1_000_000
_REDIRECTS = {
    301: pb.RedirectAction.MOVED_PERMANENTLY,
    302: pb.RedirectAction.FOUND,
    303: pb.RedirectAction.SEE_OTHER,
    307: pb.RedirectAction.TEMPORARY_REDIRECT,
    308: pb.RedirectAction.PERMANENT_REDIRECT,
}
_WELL_KNOWN = {"http": 80, "https": 443}


def translate_route(route: Route) -> pb.Route:
    """Build one route."""
    out = pb.Route(name=route.name, match=translate_match(route.match))
    action = route.action
    if isinstance(action, Forward):
        _forward(out, action, route.match)
    elif isinstance(action, Redirect):
        _redirect(out.redirect, action, route.match)
        apply_headers(out, NO_CHANGE, action.response_headers)
    elif isinstance(action, Respond):
        _respond(out, action)
    else:
        assert_never(action)
    return out


def mirrored_upstreams(route: Route) -> tuple[str, ...]:
    """Name the upstreams that get copies: a proxy that discovers on demand is not asked for these, so it must hold them."""
    return tuple(m.upstream for m in route.action.mirrors if m.upstream) if isinstance(route.action, Forward) else ()


def _respond(out: pb.Route, respond: Respond) -> None:
    out.direct_response.status = respond.status
    if respond.body:
        out.direct_response.body.inline_string = respond.body
    apply_headers(out, NO_CHANGE, respond.response_headers)


def _forward(out: pb.Route, forward: Forward, match: RequestMatch) -> None:
    shares = [backend for backend in forward.backends if backend.weight > 0]
    if not any(share.upstream for share in shares):
        _respond(out, Respond(status=500, response_headers=forward.response_headers))
        return
    apply_headers(out, forward.request_headers, forward.response_headers)
    action = out.route
    only = shares[0]
    if len(shares) == 1 and only.request_headers == only.response_headers == NO_CHANGE:
        action.cluster = only.upstream
    else:
        action.weighted_clusters.clusters.extend(_share(share) for share in shares)
    action.timeout.FromMilliseconds(round((forward.timeout_s or 0) * 1000))
    if forward.attempt_timeout_s:
        action.retry_policy.CopyFrom(default_retry(forward.attempt_timeout_s))
    action.request_mirror_policies.extend(_mirror(m) for m in forward.mirrors if m.upstream)
    if forward.rewrite is None:
        return
    if forward.rewrite.hostname:
        action.host_rewrite_literal = forward.rewrite.hostname
    if forward.rewrite.path is not None:
        _rewrite(action, rewrite_path(forward.rewrite.path, match))


def _share(backend: Backend) -> pb.WeightedCluster.ClusterWeight:
    share = pb.WeightedCluster.ClusterWeight(name=backend.upstream or INVALID)
    share.weight.value = backend.weight
    if not backend.upstream:
        # The cluster without a host would answer 503; that it exists keeps an on-demand proxy from asking for it.
        fault = fault_pb2.HTTPFault()
        fault.abort.http_status = 500
        fault.abort.percentage.numerator = 100
        share.typed_per_filter_config[FAULT].CopyFrom(pack(fault))
    apply_headers(share, backend.request_headers, backend.response_headers)
    return share


def _mirror(mirror: Mirror) -> pb.RouteAction.RequestMirrorPolicy:
    policy = pb.RouteAction.RequestMirrorPolicy(cluster=mirror.upstream, disable_shadow_host_suffix_append=True)
    share = policy.runtime_fraction.default_value
    share.numerator = round(mirror.numerator * _MILLION / max(mirror.denominator, 1))
    share.denominator = share.MILLION
    return policy


def _redirect(out: pb.RedirectAction, redirect: Redirect, match: RequestMatch) -> None:
    out.response_code = _REDIRECTS[redirect.status]
    out.scheme_redirect = redirect.scheme
    out.host_redirect = redirect.hostname
    # With a hostname the port may be left out where the scheme implies it; without one Envoy would keep the request's port.
    implied = redirect.hostname and _WELL_KNOWN.get(redirect.scheme) == redirect.port
    out.port_redirect = 0 if implied else redirect.port
    if redirect.path is not None:
        _rewrite(out, rewrite_path(redirect.path, match))


def _rewrite(target: pb.RouteAction | pb.RedirectAction, rewrite: PathRewrite | None) -> None:
    if rewrite is None:
        return
    if rewrite.prefix:
        target.prefix_rewrite = rewrite.prefix
    else:
        target.regex_rewrite.pattern.regex = rewrite.regex
        target.regex_rewrite.substitution = rewrite.substitution
