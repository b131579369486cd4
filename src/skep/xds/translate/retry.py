"""What is sent again without being asked: only requests that no application has acted on, or that may be repeated.

A connection that was not made, a stream that was refused and a connection lost before the request left are safe for every
method. A connection lost later is safe for idempotent methods alone: a filter (filters.py) adds that per request. What an
inbound sidecar knows (its application was not reached) travels in a response header.
"""

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2

from skep.xds.translate.names import RETRIABLE_HEADER
from skep.xds.translate.wire import pack

SAFE_FOR_EVERY_METHOD = "connect-failure,refused-stream,reset-before-request,retriable-headers"
SAFE_WHEN_IDEMPOTENT = "reset"
NOT_IDEMPOTENT = ("POST", "PATCH", "CONNECT")
_PICKS_FOR_ANOTHER_HOST = 100
"""Among unequal weights the heavy host comes up many times before the light one."""


def default_retry(attempt_timeout_s: float | None = None) -> pb.RetryPolicy:
    """Build the policy of every route: two more attempts, at hosts not tried yet, almost at once."""
    policy = pb.RetryPolicy(
        retry_on=SAFE_FOR_EVERY_METHOD,
        retriable_headers=[pb.HeaderMatcher(name=RETRIABLE_HEADER, present_match=True)],
        host_selection_retry_max_attempts=_PICKS_FOR_ANOTHER_HOST,
        retry_host_predicate=[
            pb.RetryPolicy.RetryHostPredicate(
                name="envoy.retry_host_predicates.previous_hosts",
                typed_config=pack(previous_hosts_pb2.PreviousHostsPredicate()),
            )
        ],
    )
    policy.num_retries.value = 2
    policy.retry_back_off.base_interval.FromMilliseconds(5)
    policy.retry_back_off.max_interval.FromMilliseconds(50)
    if attempt_timeout_s:
        policy.per_try_timeout.FromMilliseconds(round(attempt_timeout_s * 1000))
    return policy
