"""Upstreams: a service's port as proxies are told of it, the instances behind it, and who may be told.

In: facts. Out: `Upstream`, `Endpoints`, yes or no. A change of instances changes endpoints, and nothing above them.
"""

from skep.compiler import facts
from skep.compiler.effective import http_route, service, service_ref
from skep.compiler.memo import Memo
from skep.compiler.references import granted_namespaces, may_call
from skep.compiler.routes import upstreams_of
from skep.compiler.services import PROTOCOLS, declared_port, find, parse_upstream_name, serving, spoken
from skep.ir.upstream import Endpoint, Endpoints, Upstream
from skep.model.instance import Health
from skep.model.names import GATEWAY_GROUP, Namespace, ObjectRef
from skep.model.node import Address


def upstream(memo: Memo, name: str) -> Upstream | None:
    """Return the upstream of that name, or None."""
    parsed = parse_upstream_name(name)
    if parsed is None or memo.get(find, *parsed).upstream != name:
        return None
    namespace, service_name, port = parsed
    declared = service(memo, namespace, service_name)
    external = None
    if declared is not None and declared.body.spec.type == "ExternalName":
        external = Address((declared.body.spec.external_name or "").removesuffix("."), port)
    chosen = declared_port(declared.body, port) if declared is not None else None
    if chosen is not None and chosen.app_protocol is not None:
        protocol = PROTOCOLS.get(chosen.app_protocol, "tcp")
    else:
        protocol = "http" if external else memo.get(spoken, name)
    return Upstream(name, protocol=protocol, external=external)


def endpoints(memo: Memo, name: str) -> Endpoints:
    """Return the passing instances of an upstream."""
    found = {
        (instance.address, instance.port): Endpoint(
            instance.address, instance.port, weight=instance.weight, zone=instance.zone
        )
        for instance in memo.get(serving, name)
        if instance.health is Health.PASSING
    }
    return Endpoints(name, tuple(sorted(found.values())))


def visible(memo: Memo, namespace: Namespace, upstream_name: str) -> bool:
    """Tell whether a namespace's proxies may be told of an upstream.

    Their own are, and granted ones; and those that another namespace's route sends to, when that route governs a
    service which they may call.
    """
    parsed = parse_upstream_name(upstream_name)
    if parsed is None or not memo.get(find, *parsed).upstream:
        return False
    if may_call(memo, namespace, service_ref(parsed[0], parsed[1])):
        return True
    return any(
        upstream_name in memo.get(upstreams_of, ref) and _governs_for(memo, ref, namespace)
        for owner in (*memo.get(granted_namespaces, parsed[0]), parsed[0])
        for ref in sorted(facts.names(memo, GATEWAY_GROUP, "HTTPRoute", owner))
    )


def _governs_for(memo: Memo, ref: ObjectRef, caller: str) -> bool:
    route = http_route(memo, ref)
    return route is not None and any(
        (item.group, item.kind) == ("", "Service")
        and (item.namespace or ref.namespace) == ref.namespace
        and may_call(memo, caller, service_ref(ref.namespace, item.name))
        for item in route.body.spec.parent_refs
    )
