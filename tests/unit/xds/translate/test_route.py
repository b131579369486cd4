"""What happens to a request."""

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.filters.http.fault.v3 import fault_pb2

from skep.ir.match import RequestMatch
from skep.ir.route import (
    Action,
    Backend,
    Forward,
    HeaderChange,
    HeaderValue,
    Mirror,
    Origin,
    PathFull,
    Redirect,
    Respond,
    Rewrite,
    Route,
)
from skep.model.names import ObjectRef
from skep.xds.translate.route import FAULT, mirrored_upstreams, translate_route


def made(action: Action) -> pb.Route:
    return translate_route(Route("r", RequestMatch(), action, Origin(ObjectRef("", "Service", "shop", "a"), 1)))


def test_one_backend_is_one_cluster_without_a_time_limit() -> None:
    out = made(Forward((Backend("shop/a:80"),)))
    assert out.route.cluster == "shop/a:80"
    assert out.route.HasField("timeout")
    assert out.route.timeout.ToSeconds() == 0
    assert not out.route.HasField("retry_policy"), "the virtual host's policy applies"


def test_shares_are_weights_and_an_invalid_share_aborts_with_500() -> None:
    out = made(Forward((Backend("shop/a:80", 3), Backend("", 1), Backend("shop/b:80", 0))))
    shares = out.route.weighted_clusters.clusters
    assert [(share.name, share.weight.value) for share in shares] == [("shop/a:80", 3), ("invalid", 1)]
    fault = fault_pb2.HTTPFault()
    assert shares[1].typed_per_filter_config[FAULT].Unpack(fault)
    assert fault.abort.http_status == 500
    assert not shares[0].typed_per_filter_config


def test_without_a_valid_share_everything_is_500() -> None:
    for backends in ((), (Backend(""),), (Backend("shop/a:80", 0),), (Backend("shop/a:80", 0), Backend(""))):
        assert made(Forward(backends)).direct_response.status == 500


def test_time_limits() -> None:
    out = made(Forward((Backend("shop/a:80"),), timeout_s=1.5, attempt_timeout_s=0.25))
    assert out.route.timeout.ToMilliseconds() == 1500
    assert out.route.retry_policy.per_try_timeout.ToMilliseconds() == 250
    assert out.route.retry_policy.num_retries.value == 2


def test_copies_take_a_share_and_keep_the_host() -> None:
    forward = Forward((Backend("shop/a:80"),), (Mirror("shop/b:80", 1, 3), Mirror("")))
    (mirror,) = made(forward).route.request_mirror_policies
    assert mirror.cluster == "shop/b:80"
    assert mirror.runtime_fraction.default_value.numerator == 333_333
    assert mirror.disable_shadow_host_suffix_append
    route = Route("r", RequestMatch(), forward, Origin(ObjectRef("", "Service", "shop", "a"), 1))
    assert mirrored_upstreams(route) == ("shop/b:80",)


def test_rewrites_and_headers() -> None:
    change = HeaderChange((HeaderValue("a", "1"),), (HeaderValue("b", "2%"),), ("c",))
    rewrite = Rewrite("inner.example", PathFull("/x"))
    out = made(Forward((Backend("shop/a:80", request_headers=change),), rewrite=rewrite, response_headers=change))
    assert out.route.host_rewrite_literal == "inner.example"
    assert out.route.regex_rewrite.substitution == "/x"
    (share,) = out.route.weighted_clusters.clusters
    shown = [(o.header.key, o.header.value, o.append_action) for o in share.request_headers_to_add]
    assert shown == [("a", "1", 2), ("b", "2%%", 0)]
    assert list(out.response_headers_to_remove) == ["c"]


def test_redirect_leaves_out_a_port_that_the_scheme_implies() -> None:
    out = made(Redirect(301, "https", "b.example", 443)).redirect
    assert (out.scheme_redirect, out.host_redirect, out.port_redirect, out.response_code) == (
        "https",
        "b.example",
        0,
        0,
    )
    assert made(Redirect(scheme="https", port=443)).redirect.port_redirect == 443
    assert made(Redirect(hostname="b.example", port=8080)).redirect.port_redirect == 8080


def test_own_answer() -> None:
    out = made(Respond(418, "tea"))
    assert (out.direct_response.status, out.direct_response.body.inline_string) == (418, "tea")
