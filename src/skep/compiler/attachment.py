"""Which routes a Gateway's listeners take, and for which hostnames.

In: a route and a Gateway. Out: `Attachment`s, one for each parent reference, with the Gateway API's word for a refusal.
"""

from collections.abc import Sequence

import msgspec

from skep.compiler import facts
from skep.compiler.effective import http_route
from skep.compiler.listeners import HTTP_ROUTE, ListenerView, Verdict, listeners
from skep.compiler.memo import Memo
from skep.compiler.mesh import parents_in
from skep.model.names import ObjectRef
from skep.model.resource import Resource
from skep.routing.httproute import HTTPRoute
from skep.routing.httproute_spec import ParentReference

ACCEPTED = Verdict(good=True, reason="Accepted", message="the route is accepted")
_NAME_LABEL = "kubernetes.io/metadata.name"


class Taken(msgspec.Struct, frozen=True):
    """A listener that takes a route."""

    listener: str
    hostnames: tuple[str, ...]
    """What the listener's and the route's hostnames have in common; `""` for every hostname."""


class Attachment(msgspec.Struct, frozen=True):
    """What became of one parent reference."""

    verdict: Verdict
    taken: tuple[Taken, ...] = ()


def attachments(memo: Memo, ref: ObjectRef, gateway: ObjectRef) -> tuple[Taken, ...]:
    """Return which listeners of a Gateway take a route in force."""
    route = http_route(memo, ref)
    if route is None:
        return ()
    found: dict[Taken, None] = {}
    for parent in parents_in(route.body.spec.parent_refs, gateway, ref.namespace):
        found.update(dict.fromkeys(attach(memo, route, parent, gateway).taken))
    return tuple(found)


def attach(memo: Memo, route: Resource[HTTPRoute], parent: ParentReference, gateway: ObjectRef) -> Attachment:
    """Attach a route by one parent reference to a Gateway of ours."""
    named = [
        view
        for view in memo.get(listeners, gateway)
        if parent.section_name in (None, view.name) and parent.port in (None, view.port)
    ]
    if not named:
        wanted = " and ".join(
            f"{word} {value}" for word, value in (("name", parent.section_name), ("port", parent.port)) if value
        )
        return _refused("NoMatchingParent", f"{gateway} has no listener with {wanted or 'any name'}")
    allowing = [
        view
        for view in named
        if HTTP_ROUTE in view.kinds and memo.get(admits, gateway, view.name, route.meta.namespace)
    ]
    if not allowing:
        message = f"no listener of {gateway} allows HTTPRoutes of namespace {route.meta.namespace}"
        return _refused("NotAllowedByListeners", message)
    taken = tuple(
        Taken(view.name, hostnames)
        for view in allowing
        if (hostnames := common_hostnames(view.hostname, route.body.spec.hostnames))
    )
    if not taken:
        message = f"no hostname of the route is one of a listener of {gateway}"
        return _refused("NoMatchingListenerHostname", message)
    return Attachment(ACCEPTED, taken)


def admits(memo: Memo, gateway: ObjectRef, listener: str, namespace: str) -> bool:
    """Tell whether a listener lets routes of a namespace attach."""
    view = find_listener(memo.get(listeners, gateway), listener)
    if view is None:
        return False
    if view.namespaces.from_ == "All":
        return True
    if view.namespaces.from_ == "Same" or view.namespaces.selector is None:
        return view.namespaces.from_ == "Same" and namespace == gateway.namespace
    declared = facts.resource(memo, ObjectRef("", "Namespace", "", namespace))
    labels = {**(declared.meta.labels if declared is not None else {}), _NAME_LABEL: namespace}
    return view.namespaces.selector.selects(labels)


def find_listener(views: Sequence[ListenerView], name: str) -> ListenerView | None:
    """Return the listener of that name, or None."""
    return next((view for view in views if view.name == name), None)


def common_hostnames(listener: str, route: Sequence[str]) -> tuple[str, ...]:
    """Return the hostnames that a listener (empty: all) and a route (none: all) have in common."""
    if not route:
        return (listener,)
    found = (_common(listener, hostname) for hostname in route)
    return tuple(dict.fromkeys(hostname for hostname in found if hostname is not None))


def covers(general: str, hostname: str) -> bool:
    """Tell whether every host that `hostname` stands for is one that `general` stands for."""
    if general in ("", hostname):
        return True
    return general.startswith("*.") and hostname.removeprefix("*").endswith(general[1:])


def _common(one: str, other: str) -> str | None:
    if covers(one, other):
        return other
    return one if covers(other, one) else None


def _refused(reason: str, message: str) -> Attachment:
    return Attachment(Verdict(good=False, reason=reason, message=message))
