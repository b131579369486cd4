"""The status of an HTTPRoute: for each parent whether it takes the route, whether references resolve, whether it runs.

In: a route as last declared. Out: a status document; parents that other controllers carry are left to them.
"""

from typing import Any

from skep.compiler import facts
from skep.compiler.addresses import is_ours
from skep.compiler.attachment import ACCEPTED, Attachment, attach
from skep.compiler.edge import live_listeners
from skep.compiler.effective import gateway
from skep.compiler.listeners import RESOLVED, Verdict
from skep.compiler.memo import Memo
from skep.compiler.routes import Findings, findings
from skep.compiler.services import find, port_names
from skep.compiler.words import condition, sentences
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.model.resource import Resource
from skep.routing.defaults import CONTROLLER
from skep.routing.httproute import HTTPRoute
from skep.routing.httproute_spec import ParentReference

Document = dict[str, Any]

PROGRAMMED = Verdict(good=True, reason="Programmed", message="proxies have it")


def route_status(memo: Memo, route: Resource[HTTPRoute]) -> Document:
    """Return the status of an HTTPRoute."""
    found = memo.get(findings, route.ref)
    resolved = _resolved(found)
    parents = []
    for parent in route.body.spec.parent_refs:
        attachment = _attachment(memo, route, parent)
        if attachment is None:
            continue
        accepted = _accepted(attachment.verdict, found)
        generation = route.meta.generation
        conditions = [
            condition("Accepted", accepted, generation),
            condition("ResolvedRefs", resolved, generation),
            condition("Programmed", _programmed(memo, route, parent, attachment), generation),
        ]
        if accepted.good and (found.unsupported or found.partial):
            rules = [f"Dropped Rule {item.message}, so it answers 500" for item in found.unsupported]
            dropped = sentences([*rules, *(f"Dropped Backend {item.message}" for item in found.partial)])
            partly = Verdict(good=True, reason="UnsupportedValue", message=dropped)
            conditions.append(condition("PartiallyInvalid", partly, generation))
        parents.append({"parentRef": _written(parent), "controllerName": CONTROLLER, "conditions": conditions})
    return {"parents": parents}


def _attachment(memo: Memo, route: Resource[HTTPRoute], parent: ParentReference) -> Attachment | None:
    """Attach a route to one parent; None when the parent is another controller's."""
    ref = ObjectRef(parent.group, parent.kind, parent.namespace or route.meta.namespace, parent.name)
    if (ref.group, ref.kind) == (GATEWAY_GROUP, "Gateway"):
        if gateway(memo, ref) is None:
            return _no_parent(f"there is no {ref}")
        return attach(memo, route, parent, ref) if memo.get(is_ours, ref) else None
    if (ref.group, ref.kind) == ("", "Service"):
        return _attach_to_service(memo, ref, parent)
    return _no_parent(f"a route attaches to a Gateway or a Service, not to {ref}")


def _attach_to_service(memo: Memo, ref: ObjectRef, parent: ParentReference) -> Attachment:
    lookup = memo.get(find, ref.namespace, ref.name, parent.port or 0)
    if lookup.reason == "BackendNotFound":
        return _no_parent(lookup.message)
    named = {name: port for port, name in memo.get(port_names, ref.namespace, ref.name)}
    if parent.section_name is not None:
        port = named.get(parent.section_name)
        if port is None or parent.port not in (None, port):
            return _no_parent(f"{ref} has no such port named {parent.section_name}")
    return Attachment(ACCEPTED)


def _no_parent(message: str) -> Attachment:
    return Attachment(Verdict(good=False, reason="NoMatchingParent", message=message))


def _accepted(verdict: Verdict, found: Findings) -> Verdict:
    if not verdict.good:
        return verdict
    if found.unsupported and len({item.field for item in found.unsupported}) == found.rules:
        message = sentences(item.message for item in found.unsupported)
        return Verdict(good=False, reason="UnsupportedValue", message=f"{message}; every rule answers 500")
    if found.ignored:
        message = f"{verdict.message}; without effect yet: {sentences(found.ignored)}"
        return Verdict(good=True, reason="Accepted", message=message)
    return verdict


def _resolved(found: Findings) -> Verdict:
    if not found.unresolved:
        return RESOLVED
    message = sentences(f"{item.field}: {item.message}" for item in found.unresolved)
    return Verdict(good=False, reason=found.unresolved[0].reason, message=message)


def _programmed(memo: Memo, route: Resource[HTTPRoute], parent: ParentReference, attachment: Attachment) -> Verdict:
    if not attachment.verdict.good:
        return Verdict(good=False, reason="NotAccepted", message=attachment.verdict.message)
    rejection = facts.rejected(memo, route.ref)
    if rejection is not None and rejection.generation == route.meta.generation:
        last = facts.accepted(memo, route.ref)
        kept = f"generation {last.meta.generation} stays in force" if last is not None else "it is left out"
        return Verdict(good=False, reason="Invalid", message=f"a proxy refused it, so {kept}: {rejection.message}")
    if attachment.taken:
        ref = ObjectRef(parent.group, parent.kind, parent.namespace or route.meta.namespace, parent.name)
        live = memo.get(live_listeners, ref)
        if not any(taken.listener in live for taken in attachment.taken):
            return Verdict(good=False, reason="Pending", message=f"no listener of {ref} that takes it is served")
    return PROGRAMMED


def _written(parent: ParentReference) -> Document:
    """Write a parent reference as a status shows it."""
    shown: Document = {"group": parent.group, "kind": parent.kind, "name": parent.name}
    for field, value in (("namespace", parent.namespace), ("sectionName", parent.section_name), ("port", parent.port)):
        if value is not None:
            shown[field] = value
    return shown
