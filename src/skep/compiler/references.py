"""Whether an object of one namespace may refer to an object of another: what ReferenceGrants allow.

In: facts. Out: yes or no. Inside one namespace everything may refer to everything.
"""

import msgspec

from skep.compiler import facts
from skep.compiler.effective import in_force
from skep.compiler.memo import Memo
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.routing.referencegrant import ReferenceGrant


class Referrer(msgspec.Struct, frozen=True):
    """Objects of one kind in one namespace."""

    group: str
    kind: str
    namespace: str


def routes_of(namespace: str) -> Referrer:
    """Return the referrer that a namespace's HTTPRoutes are."""
    return Referrer(GATEWAY_GROUP, "HTTPRoute", namespace)


def callers_of(namespace: str) -> Referrer:
    """Return the referrer that a namespace's services are, when they call others."""
    return Referrer("", "Service", namespace)


def may_refer(memo: Memo, referrer: Referrer, target: ObjectRef) -> bool:
    """Tell whether a reference is inside one namespace or granted by the target's."""
    return referrer.namespace == target.namespace or memo.get(granted, referrer, target)


def may_call(memo: Memo, namespace: str, target: ObjectRef) -> bool:
    """Tell whether a namespace's services may call a Service: their own, or one granted to them or to their routes."""
    return may_refer(memo, callers_of(namespace), target) or may_refer(memo, routes_of(namespace), target)


def granted(memo: Memo, referrer: Referrer, target: ObjectRef) -> bool:
    """Tell whether a ReferenceGrant in the target's namespace allows the reference."""
    for ref in facts.names(memo, GATEWAY_GROUP, "ReferenceGrant", target.namespace):
        grant = in_force(memo, ref, ReferenceGrant)
        if grant is None:
            continue
        comes_from = any(
            (item.group, item.kind, item.namespace) == (referrer.group, referrer.kind, referrer.namespace)
            for item in grant.body.spec.from_
        )
        if comes_from and any(
            (item.group, item.kind) == (target.group, target.kind) and item.name in (None, "", target.name)
            for item in grant.body.spec.to
        ):
            return True
    return False


def granted_namespaces(memo: Memo, namespace: str) -> tuple[str, ...]:
    """Return the other namespaces whose HTTPRoutes may refer to something in this one, sorted."""
    found: set[str] = set()
    for ref in facts.names(memo, GATEWAY_GROUP, "ReferenceGrant", namespace):
        grant = in_force(memo, ref, ReferenceGrant)
        if grant is not None:
            found.update(
                item.namespace
                for item in grant.body.spec.from_
                if (item.group, item.kind) == (GATEWAY_GROUP, "HTTPRoute")
            )
    return tuple(sorted(found - {namespace}))
