"""A small world for tests of the compiler: documents and instances in, a `Memo` with all its facts out."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from skep.compiler.facts import (
    AcceptedFact,
    AttachedFact,
    EdgeRejectedFact,
    LabelledFact,
    MembersFact,
    NamesFact,
    RejectedFact,
    Rejection,
    ResourceFact,
)
from skep.compiler.memo import Memo
from skep.kinds import KINDS, Kind, parse
from skep.model.instance import Instance
from skep.model.names import SERVICE_LABEL, Namespace, ObjectRef, ServiceId
from skep.model.resource import Record, Resource
from skep.routing.httproute import HTTPRoute
from skep.routing.service import Service

Document = Mapping[str, Any]


def kind_of(document: Document) -> Kind:
    """Find the kind of a document."""
    return next(
        kind
        for kind in KINDS
        if kind.kind == document["kind"] and document["apiVersion"] in {kind.api_version_at(v) for v in kind.versions}
    )


def resource_of(document: Document) -> Resource[Record]:
    """Parse a document that has no violations."""
    found = parse(kind_of(document), document)
    assert not isinstance(found, list), [str(violation) for violation in found]
    return found


def instance_of(document: Document) -> Instance:
    """Read an instance from the short form that tests use."""
    read = msgspec.convert(document, Instance)
    return msgspec.structs.replace(read, labels={**read.labels, SERVICE_LABEL: read.service})


def declare(memo: Memo, resources: Iterable[Resource[Record]], instances: Iterable[Instance] = ()) -> None:
    """Set every fact that these objects and instances give rise to."""
    listed, running = tuple(resources), tuple(sorted(instances, key=lambda instance: instance.key))
    names: dict[NamesFact, set[ObjectRef]] = {}
    attached: dict[ObjectRef, set[ObjectRef]] = {}
    labels: set[tuple[str, str, str]] = set()
    for item in listed:
        memo.set(ResourceFact(item.ref), item)
        for namespace in {"", item.ref.namespace}:
            names.setdefault(NamesFact(item.ref.group, item.ref.kind, namespace), set()).add(item.ref)
        if isinstance(item.body, HTTPRoute):
            for parent in item.body.spec.parent_refs:
                ref = ObjectRef(parent.group, parent.kind, parent.namespace or item.ref.namespace, parent.name)
                attached.setdefault(ref, set()).add(item.ref)
        if isinstance(item.body, Service):
            labels.update((item.ref.namespace, key, value) for key, value in (item.body.spec.selector or {}).items())
    for fact, refs in names.items():
        memo.set(fact, frozenset(refs))
    for ref, routes in attached.items():
        memo.set(AttachedFact(ref), frozenset(routes))
    members: dict[ServiceId, list[Instance]] = {}
    for instance in running:
        members.setdefault(instance.service_id, []).append(instance)
    for service, found in members.items():
        memo.set(MembersFact(service), tuple(found))
    for namespace, key, value in labels:
        carrying = tuple(i for i in running if i.namespace == namespace and i.labels.get(key) == value)
        memo.set(LabelledFact(Namespace(namespace), key, value), carrying or None)


def reject(memo: Memo, ref: ObjectRef, generation: int, message: str, last: Resource[Record] | None = None) -> None:
    """A proxy refused a generation of an object; `last` is what it took before."""
    memo.set(RejectedFact(ref), Rejection(generation, message))
    memo.set(AcceptedFact(ref), last)


def reject_edge(memo: Memo, edge_port: str, message: str) -> None:
    """A gateway's proxy could not listen."""
    memo.set(EdgeRejectedFact(edge_port), message)
