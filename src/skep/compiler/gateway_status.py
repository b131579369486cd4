"""The status of a Gateway: its addresses, its conditions, and those of each listener.

In: a Gateway as last declared. Out: a status document; None when another controller carries it.
"""

from collections import Counter
from typing import Any

from skep.compiler import facts
from skep.compiler.addresses import addresses_of
from skep.compiler.attachment import attachments
from skep.compiler.edge import edge_ports
from skep.compiler.effective import gateway_class
from skep.compiler.listeners import ListenerView, Verdict, judge_listeners
from skep.compiler.memo import Memo
from skep.compiler.words import condition, sentences
from skep.model.names import ObjectRef
from skep.model.resource import Resource
from skep.routing.defaults import CONTROLLER
from skep.routing.gateway import Gateway

Document = dict[str, Any]

PROGRAMMED = Verdict(good=True, reason="Programmed", message="the proxy has it")
NO_CONFLICTS = Verdict(good=False, reason="NoConflicts", message="the listener can be told from the others")


def gateway_status(memo: Memo, declared: Resource[Gateway]) -> Document | None:
    """Return the status of a Gateway."""
    name = declared.body.spec.gateway_class_name
    of_class = gateway_class(memo, name)
    if of_class is None:
        waiting = Verdict(good=False, reason="Pending", message=f"waiting for the GatewayClass {name}")
        kinds = ("Accepted", "Programmed")
        return {
            "conditions": [condition(kind, waiting, declared.meta.generation) | {"status": "Unknown"} for kind in kinds]
        }
    if of_class.body.spec.controller_name != CONTROLLER:
        return None
    views = judge_listeners(memo, declared)
    addresses = memo.get(addresses_of, declared.ref)
    troubles = _troubles(memo, declared.ref)
    generation = declared.meta.generation
    return {
        "addresses": [{"type": "IPAddress", "value": address} for address in addresses],
        "conditions": [
            condition("Accepted", _accepted(declared, views), generation),
            condition("Programmed", _programmed(memo, declared, views, troubles), generation),
        ],
        "listeners": _listeners(memo, declared, views, troubles),
    }


def attached_routes(memo: Memo, ref: ObjectRef) -> Counter[str]:
    """Count the routes that each listener takes."""
    found: Counter[str] = Counter()
    for route in facts.attached(memo, ref):
        found.update({taken.listener for taken in memo.get(attachments, route, ref)})
    return found


def _listeners(
    memo: Memo, declared: Resource[Gateway], views: tuple[ListenerView, ...], troubles: dict[int, Verdict]
) -> list[Document]:
    counts = memo.get(attached_routes, declared.ref)
    generation = declared.meta.generation
    return [
        {
            "name": view.name,
            "supportedKinds": [{"group": group, "kind": kind} for group, kind in view.kinds],
            "attachedRoutes": counts[view.name],
            "conditions": [
                condition("Accepted", view.conflicted or view.accepted, generation),
                condition("Programmed", _listener_programmed(view, troubles), generation),
                condition("ResolvedRefs", view.resolved, generation),
                condition("Conflicted", _conflicted(view), generation),
            ],
        }
        for view in views
    ]


def _conflicted(view: ListenerView) -> Verdict:
    if view.conflicted is None:
        return NO_CONFLICTS
    return Verdict(good=True, reason=view.conflicted.reason, message=view.conflicted.message)


def _listener_programmed(view: ListenerView, troubles: dict[int, Verdict]) -> Verdict:
    if not view.live:
        because = next(item for item in (view.conflicted, view.accepted, view.resolved) if item and not item.good)
        return Verdict(good=False, reason="Invalid", message=because.message)
    return troubles.get(view.port, PROGRAMMED)


def _accepted(declared: Resource[Gateway], views: tuple[ListenerView, ...]) -> Verdict:
    strange = next((item.type for item in declared.body.spec.addresses if item.type != "IPAddress"), None)
    if strange is not None:
        message = f"addresses of type {strange[:80]} are not supported; IPAddress is"
        return Verdict(good=False, reason="UnsupportedAddress", message=message)
    bad = [view for view in views if not view.accepted.good or view.conflicted or not view.resolved.good]
    if not bad:
        return Verdict(good=True, reason="Accepted", message="the Gateway is accepted")
    message = sentences(
        f"listener {view.name}: {(view.conflicted or (view.resolved if view.accepted.good else view.accepted)).message}"
        for view in bad
    )
    return Verdict(good=any(view.live for view in views), reason="ListenersNotValid", message=message)


def _programmed(
    memo: Memo, declared: Resource[Gateway], views: tuple[ListenerView, ...], troubles: dict[int, Verdict]
) -> Verdict:
    rejection = facts.rejected(memo, declared.ref)
    if rejection is not None and rejection.generation == declared.meta.generation:
        return Verdict(good=False, reason="Invalid", message=f"a proxy refused it: {rejection.message}")
    if not memo.get(addresses_of, declared.ref):
        return Verdict(good=False, reason="AddressNotAssigned", message="none of the addresses asked for can be used")
    if not any(view.live for view in views):
        return Verdict(good=False, reason="Invalid", message="no listener can be served")
    if not troubles:
        return PROGRAMMED
    refused = [item for item in troubles.values() if item.reason != "Pending"]
    reason = "AddressNotUsable" if refused else "Pending"
    return Verdict(good=False, reason=reason, message=sentences(item.message for item in refused or troubles.values()))


def _troubles(memo: Memo, ref: ObjectRef) -> dict[int, Verdict]:
    """Return why the proxy does not listen as declared, by port."""
    found: dict[int, Verdict] = {}
    for port in memo.get(edge_ports, ref):
        message = facts.edge_rejected(memo, port.name)
        taken = facts.edge_accepted(memo, port.name)
        if message is not None:
            message = f"cannot listen on {port.address}: {message}"
            found[port.address.port] = Verdict(good=False, reason="Invalid", message=message)
        elif taken is None or (taken.address, taken.servers) != (port.address, port.servers):
            waiting = Verdict(good=False, reason="Pending", message=f"no proxy listens on {port.address} yet")
            found.setdefault(port.address.port, waiting)
    return found
