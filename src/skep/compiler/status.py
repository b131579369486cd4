"""What to tell the author of an object: its status, in the Gateway API's words.

In: an object as last declared, and what became of it. Out: a status document without times, or None for an object that
is not ours to speak of. `observedGeneration` is inside; `lastTransitionTime` is added by whoever writes it.
"""

from typing import Any

from skep.compiler import facts
from skep.compiler.effective import as_kind
from skep.compiler.gateway_status import gateway_status
from skep.compiler.listeners import Verdict
from skep.compiler.memo import Memo
from skep.compiler.route_status import route_status
from skep.compiler.words import condition
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.model.resource import Resource
from skep.routing.defaults import CONTROLLER
from skep.routing.gateway import Gateway, GatewayClass
from skep.routing.httproute import HTTPRoute

Document = dict[str, Any]

FEATURES = (
    "Gateway",
    "GatewayHTTPListenerIsolation",
    "GatewayPort8080",
    "GatewayStaticAddresses",
    "HTTPRoute",
    "HTTPRouteBackendProtocolH2C",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendTimeout",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteSchemeRedirect",
    "Mesh",
    "MeshConsumerRoute",
    "ReferenceGrant",
)


def status_of(memo: Memo, ref: ObjectRef) -> Document | None:
    """Return the status of an object, or None for one that gets none from us."""
    if ref.group != GATEWAY_GROUP:
        return None
    declared = facts.resource(memo, ref)
    if (route := as_kind(declared, HTTPRoute)) is not None:
        return route_status(memo, route)
    if (gateway := as_kind(declared, Gateway)) is not None:
        return gateway_status(memo, gateway)
    if (of_class := as_kind(declared, GatewayClass)) is not None:
        return _class_status(of_class)
    return None


def _class_status(declared: Resource[GatewayClass]) -> Document | None:
    spec = declared.body.spec
    if spec.controller_name != CONTROLLER:
        return None
    verdict = Verdict(good=True, reason="Accepted", message="Gateways of this class are carried by Skep")
    if spec.parameters_ref is not None:
        message = "parametersRef is not supported; its Gateways are carried without it"
        verdict = Verdict(good=False, reason="InvalidParameters", message=message)
    return {
        "conditions": [condition("Accepted", verdict, declared.meta.generation)],
        "supportedFeatures": [{"name": name} for name in FEATURES],
    }
