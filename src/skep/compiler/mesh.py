"""Which HTTPRoutes govern calls to a service inside the mesh: those that name it among their parents.

A route in the service's own namespace governs every caller; one in another namespace only the callers of that namespace,
for whom it then replaces the former.
"""

from collections.abc import Iterable, Iterator

from skep.compiler import facts
from skep.compiler.effective import http_route, service_ref
from skep.compiler.memo import Memo
from skep.compiler.references import may_call
from skep.compiler.services import port_names
from skep.model.names import ObjectRef
from skep.routing.httproute_spec import ParentReference


def governing_routes(memo: Memo, caller: str, namespace: str, name: str, port: int) -> tuple[ObjectRef, ...]:
    """Return the HTTPRoutes that replace a service's own behaviour for a calling namespace, sorted.

    Routes of the caller's own namespace come before those of the service's; both at once never mix.
    """
    parent = service_ref(namespace, name)
    target = sorted(facts.attached(memo, parent))
    for owner in dict.fromkeys((caller, namespace)):
        if owner == namespace != caller and not may_call(memo, caller, parent):
            continue
        found = tuple(ref for ref in target if ref.namespace == owner and memo.get(governs, ref, parent, port))
        if found:
            return found
    return ()


def governs(memo: Memo, ref: ObjectRef, parent: ObjectRef, port: int) -> bool:
    """Tell whether a route in force names this port of a service among its parents."""
    route = http_route(memo, ref)
    if route is None:
        return False
    names = dict(memo.get(port_names, parent.namespace, parent.name))
    return any(
        (item.port is None or item.port == port) and (item.section_name is None or names.get(port) == item.section_name)
        for item in parents_in(route.body.spec.parent_refs, parent, ref.namespace)
    )


def parents_in(parents: Iterable[ParentReference], parent: ObjectRef, namespace: str) -> Iterator[ParentReference]:
    """Yield the parent references of a route of `namespace` that name this object."""
    for item in parents:
        if ObjectRef(item.group, item.kind, item.namespace or namespace, item.name) == parent:
            yield item
