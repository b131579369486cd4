"""The HTTP filters of every proxy, in order, each with its reason. The one place that decides the order."""

from typing import Any

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import config_source_pb2, extension_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.common.matcher.action.v3 import skip_action_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import http_inputs_pb2
from xds.core.v3 import extension_pb2 as xds_extension_pb2
from xds.type.matcher.v3 import matcher_pb2

from skep.xds.translate.headers import header_option
from skep.xds.translate.retry import NOT_IDEMPOTENT, SAFE_WHEN_IDEMPOTENT
from skep.xds.translate.route import FAULT
from skep.xds.translate.wire import pack

RETRY_IDEMPOTENT = "skep.retry_idempotent"
ON_DEMAND = "envoy.filters.http.on_demand"
ROUTER = "envoy.filters.http.router"


def gateway_filters() -> list[Any]:
    """Filters of a gateway's listeners."""
    return [_retry_idempotent(), _fault(), _router()]


def outbound_filters() -> list[Any]:
    """Filters of the listener to which a sidecar's application sends its calls."""
    return [_retry_idempotent(), _on_demand(), _fault(), _router()]


def inbound_filters() -> list[Any]:
    """Filters in front of an application: its callers' proxies have done the rest."""
    return [_router()]


def _retry_idempotent() -> Any:
    """First, because what it adds is for the router and depends on nothing but the method."""
    mutation = header_mutation_pb2.HeaderMutation()
    mutation.mutations.request_mutations.append(
        mutation_rules_pb2.HeaderMutation(append=header_option("x-envoy-retry-on", SAFE_WHEN_IDEMPOTENT))
    )
    matcher = matcher_pb2.Matcher()
    tree = matcher.matcher_tree
    tree.input.CopyFrom(input_of(":method"))
    for method in NOT_IDEMPOTENT:
        skip = tree.exact_match_map.map[method].action
        skip.name = "skip"
        skip.typed_config.CopyFrom(pack(skip_action_pb2.SkipFilter()))
    delegate = extension_matcher_pb2.ExtensionWithMatcher(
        xds_matcher=matcher,
        extension_config=extension_pb2.TypedExtensionConfig(
            name="envoy.filters.http.header_mutation", typed_config=pack(mutation)
        ),
    )
    return hcm.HttpFilter(name=RETRY_IDEMPOTENT, typed_config=pack(delegate))


def _fault() -> Any:
    """Once the route is known for sure, before anything is sent: the share of an invalid backend ends here."""
    return hcm.HttpFilter(name=FAULT, typed_config=pack(fault_pb2.HTTPFault()))


def _on_demand() -> Any:
    """Before all that reads the route: waits for the virtual host and the cluster that a request is the first to need."""
    return hcm.HttpFilter(name=ON_DEMAND, typed_config=pack(on_demand_pb2.OnDemand(odcds=_odcds())))


def on_demand_route() -> Any:
    """Build what makes a route fetch its cluster when it is missing."""
    return pack(on_demand_pb2.PerRouteConfig(odcds=_odcds()))


def _odcds() -> Any:
    odcds = on_demand_pb2.OnDemandCds(source=ads())
    odcds.timeout.FromSeconds(5)
    return odcds


def _router() -> Any:
    """Last by definition. Its extra headers would tell callers, and outsiders, about our retries."""
    return hcm.HttpFilter(name=ROUTER, typed_config=pack(router_pb2.Router(suppress_envoy_headers=True)))


def input_of(header: str) -> Any:
    """Build the matcher input that reads a request header."""
    return xds_extension_pb2.TypedExtensionConfig(
        name=header, typed_config=pack(http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=header))
    )


def ads(fetch_timeout_s: float | None = None) -> Any:
    """Build the source of everything that is discovered: the one stream to the control plane."""
    source = config_source_pb2.ConfigSource(resource_api_version=config_source_pb2.ApiVersion.V3)
    source.ads.SetInParent()
    if fetch_timeout_s is not None:
        source.initial_fetch_timeout.FromMilliseconds(round(fetch_timeout_s * 1000))
    return source
