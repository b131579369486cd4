"""The keys of the facts that compilation reads. The pipeline sets them; units read them through the typed functions here.

A unit that reads a fact depends on it, also when it is absent.
"""

from typing import cast

import msgspec

from skep.compiler.memo import Memo
from skep.ir.edge import EdgePort
from skep.model.instance import Instance
from skep.model.names import Namespace, ObjectRef, ServiceId
from skep.model.resource import Record, Resource


class ResourceFact(msgspec.Struct, frozen=True):
    """The object as last declared."""

    ref: ObjectRef


class NamesFact(msgspec.Struct, frozen=True):
    """Which objects of a kind exist, in a namespace or, with an empty one, everywhere."""

    group: str
    kind: str
    namespace: str = ""


class AttachedFact(msgspec.Struct, frozen=True):
    """Which routes name this Gateway or Service among their parents, whether it takes them or not."""

    parent: ObjectRef


class MembersFact(msgspec.Struct, frozen=True):
    """The instances that registered under a service's name, whatever their health."""

    service: ServiceId


class RememberedFact(msgspec.Struct, frozen=True):
    """The ports of a service whose last instance left a short while ago."""

    service: ServiceId


class LabelledFact(msgspec.Struct, frozen=True):
    """The instances of a namespace that carry a label."""

    namespace: Namespace
    key: str
    value: str


class RejectedFact(msgspec.Struct, frozen=True):
    """What a proxy said when it refused configuration that came from this object."""

    ref: ObjectRef


class AcceptedFact(msgspec.Struct, frozen=True):
    """The last generation of the object that proxies took, kept while a newer one is refused."""

    ref: ObjectRef


class EdgeRejectedFact(msgspec.Struct, frozen=True):
    """What a gateway's proxy said when it could not listen."""

    edge_port: str


class EdgeAcceptedFact(msgspec.Struct, frozen=True):
    """The port that a gateway's proxy listens on, as it took it."""

    edge_port: str


class Rejection(msgspec.Struct, frozen=True):
    """A refusal of one generation of an object."""

    generation: int
    message: str


def resource(memo: Memo, ref: ObjectRef) -> Resource[Record] | None:
    """Return the object as declared, or None."""
    return cast("Resource[Record] | None", memo.fact(ResourceFact(ref)))


def names(memo: Memo, group: str, kind: str, namespace: str = "") -> frozenset[ObjectRef]:
    """Return which objects of a kind exist."""
    return cast("frozenset[ObjectRef]", memo.fact(NamesFact(group, kind, namespace)) or frozenset())


def attached(memo: Memo, parent: ObjectRef) -> frozenset[ObjectRef]:
    """Return the routes that name a parent."""
    return cast("frozenset[ObjectRef]", memo.fact(AttachedFact(parent)) or frozenset())


def members(memo: Memo, service: ServiceId) -> tuple[Instance, ...]:
    """Return the instances registered under a name, sorted by id."""
    return cast("tuple[Instance, ...]", memo.fact(MembersFact(service)) or ())


def remembered(memo: Memo, service: ServiceId) -> frozenset[int]:
    """Return the ports that the instances of a service had, whose last one left a short while ago."""
    return cast("frozenset[int]", memo.fact(RememberedFact(service)) or frozenset())


def labelled(memo: Memo, namespace: Namespace, key: str, value: str) -> tuple[Instance, ...]:
    """Return the instances of a namespace that carry a label, sorted by service and id."""
    return cast("tuple[Instance, ...]", memo.fact(LabelledFact(namespace, key, value)) or ())


def rejected(memo: Memo, ref: ObjectRef) -> Rejection | None:
    """Return the refusal of an object, or None."""
    return cast("Rejection | None", memo.fact(RejectedFact(ref)))


def accepted(memo: Memo, ref: ObjectRef) -> Resource[Record] | None:
    """Return the last accepted form of a refused object, or None."""
    return cast("Resource[Record] | None", memo.fact(AcceptedFact(ref)))


def edge_rejected(memo: Memo, edge_port: str) -> str | None:
    """Return why a gateway's proxy cannot listen there, or None."""
    return cast("str | None", memo.fact(EdgeRejectedFact(edge_port)))


def edge_accepted(memo: Memo, edge_port: str) -> EdgePort | None:
    """Return the port of that name that a gateway's proxy listens on, or None."""
    return cast("EdgePort | None", memo.fact(EdgeAcceptedFact(edge_port)))
