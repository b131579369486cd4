"""Which addresses each Gateway listens on: those it asks for, those it had, or the next free one of the loopback net.

In: every Gateway of ours. Out: addresses, the same for the same Gateways however they came to be.
"""

import ipaddress
from collections.abc import Mapping
from itertools import count

from skep.compiler import facts
from skep.compiler.effective import gateway, gateway_class
from skep.compiler.memo import Memo
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.model.resource import Resource
from skep.routing.defaults import CONTROLLER, EDGE, EDGE_NAMESPACE
from skep.routing.gateway import Gateway, is_ip_address

ANNOTATION = "skep.dev/address"
_FIRST = ipaddress.IPv4Address("127.0.0.1")
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


def is_ours(memo: Memo, ref: ObjectRef) -> bool:
    """Tell whether a Gateway's class is one that Skep carries."""
    declared = gateway(memo, ref)
    if declared is None:
        return False
    found = gateway_class(memo, declared.body.spec.gateway_class_name)
    return found is not None and found.body.spec.controller_name == CONTROLLER


def our_gateways(memo: Memo) -> tuple[ObjectRef, ...]:
    """Return every Gateway that Skep carries, oldest first."""
    refs = [ref for ref in facts.names(memo, GATEWAY_GROUP, "Gateway") if memo.get(is_ours, ref)]
    return tuple(sorted(refs, key=lambda ref: (_created(memo, ref), ref)))


def assigned_addresses(memo: Memo) -> Mapping[ObjectRef, tuple[str, ...]]:
    """Return the addresses of every Gateway of ours; none for one whose wishes cannot be met."""
    assigned: dict[ObjectRef, tuple[str, ...]] = {}
    waiting: list[tuple[ObjectRef, str]] = []
    for ref in memo.get(our_gateways):
        declared = gateway(memo, ref)
        assert declared is not None
        wished = _wished(declared)
        if wished is not None:
            assigned[ref] = wished
        else:
            waiting.append((ref, _former(declared)))
    taken = {address for addresses in assigned.values() for address in addresses} | {str(_FIRST)}
    for ref, former in waiting:
        if former and former not in taken:
            assigned[ref] = (former,)
            taken.add(former)
    for ref, _ in waiting:
        if ref not in assigned:
            free = next(str(_FIRST + step) for step in count(1) if str(_FIRST + step) not in taken)
            assigned[ref] = (free,)
            taken.add(free)
    return assigned


def addresses_of(memo: Memo, ref: ObjectRef) -> tuple[str, ...]:
    """Return the addresses a Gateway listens on; empty when it has none."""
    return memo.get(assigned_addresses).get(ref, ())


def holder(memo: Memo, address: str, port: int) -> ObjectRef | None:
    """Return the Gateway that listens on an address and port: the oldest of those that would."""
    for ref in memo.get(our_gateways):
        declared = gateway(memo, ref)
        if (
            declared is not None
            and any(listener.port == port for listener in declared.body.spec.listeners)
            and address in memo.get(addresses_of, ref)
        ):
            return ref
    return None


def _wished(declared: Resource[Gateway]) -> tuple[str, ...] | None:
    """Return what the author asked for; None when they left it to us."""
    asked = declared.body.spec.addresses
    if asked and not all(item.type == "IPAddress" for item in asked):
        return ()
    values = tuple(item.value for item in asked if item.value)
    if values:
        return values
    noted = declared.meta.annotations.get(ANNOTATION, "")
    if is_ip_address(noted):
        return (noted,)
    if (declared.ref.namespace, declared.ref.name) == (EDGE_NAMESPACE, EDGE):
        return (str(_FIRST),)
    return None


def _former(declared: Resource[Gateway]) -> str:
    """Return the loopback address that its status says it has."""
    listed = declared.status.get("addresses")
    first = listed[0] if isinstance(listed, list | tuple) and listed else None
    value = first.get("value") if isinstance(first, Mapping) else None
    if not isinstance(value, str) or not is_ip_address(value):
        return ""
    parsed = ipaddress.ip_address(value)
    return value if parsed.version == 4 and parsed in _LOOPBACK else ""


def _created(memo: Memo, ref: ObjectRef) -> str:
    declared = gateway(memo, ref)
    return declared.meta.created if declared is not None else ""
