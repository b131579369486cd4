"""The listeners of a Gateway: which are sound, which conflict, and what each may serve.

In: a Gateway and what it refers to. Out: `ListenerView`s that both the proxy's configuration and the status are made of.
"""

from collections import Counter

import msgspec

from skep.compiler.addresses import addresses_of, holder, is_ours
from skep.compiler.certificates import read_certificate
from skep.compiler.effective import gateway
from skep.compiler.memo import Memo
from skep.compiler.references import Referrer, may_refer
from skep.ir.edge import Certificate
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.model.resource import Resource
from skep.routing.gateway import Gateway, Listener, ListenerTLS, RouteNamespaces

PROTOCOLS = ("HTTP", "HTTPS")
HTTP_ROUTE = (GATEWAY_GROUP, "HTTPRoute")


class Verdict(msgspec.Struct, frozen=True):
    """One condition, without its type: whether it is good, the Gateway API's word for it, and a sentence."""

    good: bool
    reason: str
    message: str = ""


ACCEPTED = Verdict(good=True, reason="Accepted", message="the listener is accepted")
RESOLVED = Verdict(good=True, reason="ResolvedRefs", message="every reference is resolved")


class ListenerView(msgspec.Struct, frozen=True):
    """One listener, judged."""

    index: int
    name: str
    hostname: str
    """Empty for every hostname."""
    port: int
    tls: bool
    accepted: Verdict
    conflicted: Verdict | None
    """Why it cannot be told from another; None when it can."""
    resolved: Verdict
    certificates: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]
    namespaces: RouteNamespaces

    @property
    def live(self) -> bool:
        """Whether a proxy can serve it."""
        sound = self.accepted.good and self.conflicted is None
        return sound and (bool(self.certificates) if self.tls else True)


def listeners(memo: Memo, ref: ObjectRef) -> tuple[ListenerView, ...]:
    """Return the listeners of a Gateway in force; none when it is not ours."""
    declared = gateway(memo, ref)
    if declared is None or not memo.get(is_ours, ref):
        return ()
    return judge_listeners(memo, declared)


def judge_listeners(memo: Memo, declared: Resource[Gateway]) -> tuple[ListenerView, ...]:
    """Judge each listener of a Gateway."""
    spec = declared.body.spec
    conflicts = _conflicts(spec.listeners)
    views = []
    for index, item in enumerate(spec.listeners):
        kinds, unknown = _kinds(item)
        certificates, resolved = _certificates(memo, declared.ref.namespace, item.tls)
        if unknown and resolved.good:
            resolved = Verdict(good=False, reason="InvalidRouteKinds", message=f"{unknown} cannot attach here")
        views.append(
            ListenerView(
                index=index,
                name=item.name,
                hostname=item.hostname or "",
                port=item.port,
                tls=item.protocol.upper() == "HTTPS",
                accepted=_accepted(memo, declared.ref, item),
                conflicted=conflicts.get(index),
                resolved=resolved,
                certificates=certificates,
                kinds=kinds,
                namespaces=item.allowed_routes.namespaces,
            )
        )
    return tuple(views)


def _accepted(memo: Memo, ref: ObjectRef, item: Listener) -> Verdict:
    if item.protocol.upper() not in PROTOCOLS:
        message = f"protocol {item.protocol[:80]} is not supported; HTTP and HTTPS are"
        return Verdict(good=False, reason="UnsupportedProtocol", message=message)
    for address in memo.get(addresses_of, ref):
        first = memo.get(holder, address, item.port)
        if first is not None and first != ref:
            message = f"{first}, which is older, listens on {address}:{item.port}"
            return Verdict(good=False, reason="PortUnavailable", message=message)
    return ACCEPTED


def _conflicts(items: tuple[Listener, ...]) -> dict[int, Verdict]:
    """Find listeners that share a port and cannot be told apart: by protocol first, then by hostname."""
    protocols: dict[int, set[str]] = {}
    for item in items:
        protocols.setdefault(item.port, set()).add(item.protocol.upper())
    hostnames = Counter((item.port, item.protocol.upper(), item.hostname or "") for item in items)
    found = {}
    for index, item in enumerate(items):
        if len(protocols[item.port]) > 1:
            message = (
                f"listeners of port {item.port} have different protocols: {', '.join(sorted(protocols[item.port]))}"
            )
            found[index] = Verdict(good=False, reason="ProtocolConflict", message=message[:1024])
        elif hostnames[item.port, item.protocol.upper(), item.hostname or ""] > 1:
            message = f"another listener of port {item.port} has the same hostname"
            found[index] = Verdict(good=False, reason="HostnameConflict", message=message)
    return found


def _kinds(item: Listener) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return which kinds of route may attach, and one that is named but cannot."""
    known = (HTTP_ROUTE,) if item.protocol.upper() in PROTOCOLS else ()
    named = tuple((kind.group, kind.kind) for kind in item.allowed_routes.kinds)
    if not named:
        return known, ""
    unknown = next((f"{group}/{kind}" for group, kind in named if (group, kind) not in known), "")
    return tuple(kind for kind in known if kind in named), unknown


def _certificates(memo: Memo, namespace: str, tls: ListenerTLS | None) -> tuple[tuple[str, ...], Verdict]:
    """Return the usable certificates, and the first reason why one is not."""
    usable: list[str] = []
    problem = RESOLVED
    for item in tls.certificate_refs if tls is not None else ():
        target = ObjectRef("", "Secret", item.namespace or namespace, item.name)
        if item.group or item.kind != "Secret":
            bad = Verdict(good=False, reason="InvalidCertificateRef", message=f"must name a Secret, not {item.kind}")
        elif not may_refer(memo, Referrer(GATEWAY_GROUP, "Gateway", namespace), target):
            message = f"no ReferenceGrant in {target.namespace} lets Gateways of {namespace} refer to {target}"
            bad = Verdict(good=False, reason="RefNotPermitted", message=message)
        else:
            found = memo.get(read_certificate, target.namespace, target.name)
            if isinstance(found, Certificate):
                usable.append(found.name)
                continue
            bad = Verdict(good=False, reason="InvalidCertificateRef", message=found)
        problem = bad if problem.good else problem
    return tuple(usable), problem
