"""The form of each declared object that is in force: what its author last wrote, or what proxies last took of it.

In: facts. Out: resources, typed by kind. A generation that a proxy refused is set aside until its author changes it.
"""

from typing import TypeVar, cast

from skep.compiler import facts
from skep.compiler.memo import Memo
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.model.resource import Record, Resource
from skep.routing.gateway import Gateway, GatewayClass
from skep.routing.httproute import HTTPRoute
from skep.routing.service import Service

BodyT = TypeVar("BodyT", bound=Record)


def effective(memo: Memo, ref: ObjectRef) -> Resource[Record] | None:
    """Return an object as it is in force; None when it is absent or was refused and has no earlier form."""
    declared = facts.resource(memo, ref)
    rejection = facts.rejected(memo, ref)
    if declared is None or rejection is None or rejection.generation != declared.meta.generation:
        return declared
    return facts.accepted(memo, ref)


def in_force(memo: Memo, ref: ObjectRef, body: type[BodyT]) -> Resource[BodyT] | None:
    """Return an object in force when its body is of this class."""
    return as_kind(memo.get(effective, ref), body)


def as_kind(resource: Resource[Record] | None, body: type[BodyT]) -> Resource[BodyT] | None:
    """Return the resource when its body is of this class."""
    return cast("Resource[BodyT]", resource) if resource is not None and isinstance(resource.body, body) else None


def service_ref(namespace: str, name: str) -> ObjectRef:
    """Name a Service."""
    return ObjectRef("", "Service", namespace, name)


def service(memo: Memo, namespace: str, name: str) -> Resource[Service] | None:
    """Return the Service in force, or None."""
    return in_force(memo, service_ref(namespace, name), Service)


def gateway(memo: Memo, ref: ObjectRef) -> Resource[Gateway] | None:
    """Return the Gateway in force, or None."""
    return in_force(memo, ref, Gateway)


def gateway_class(memo: Memo, name: str) -> Resource[GatewayClass] | None:
    """Return the GatewayClass in force, or None."""
    return in_force(memo, ObjectRef(GATEWAY_GROUP, "GatewayClass", "", name), GatewayClass)


def http_route(memo: Memo, ref: ObjectRef) -> Resource[HTTPRoute] | None:
    """Return the HTTPRoute in force, or None."""
    return in_force(memo, ref, HTTPRoute)
