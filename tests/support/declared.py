"""A small world for tests of the compiler: documents and instances in, a `Memo` with all its facts out."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import msgspec

from skep.compiler.addresses import our_gateways
from skep.compiler.edge import edge_ports
from skep.compiler.facts import (
    AcceptedFact,
    AttachedFact,
    EdgeAcceptedFact,
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


def facts_of(resources: Iterable[Resource[Record]], instances: Iterable[Instance] = ()) -> dict[Hashable, object]:
    """Return every fact that these objects and instances give rise to."""
    listed, alive = tuple(resources), tuple(sorted(instances, key=lambda instance: instance.key))
    sets: dict[Hashable, set[ObjectRef]] = {}
    facts: dict[Hashable, object] = {}
    labels: set[tuple[str, str, str]] = set()
    for item in listed:
        facts[ResourceFact(item.ref)] = item
        for namespace in {"", item.ref.namespace}:
            sets.setdefault(NamesFact(item.ref.group, item.ref.kind, namespace), set()).add(item.ref)
        if isinstance(item.body, HTTPRoute):
            for parent in item.body.spec.parent_refs:
                ref = ObjectRef(parent.group, parent.kind, parent.namespace or item.ref.namespace, parent.name)
                sets.setdefault(AttachedFact(ref), set()).add(item.ref)
        if isinstance(item.body, Service):
            labels.update((item.ref.namespace, key, value) for key, value in (item.body.spec.selector or {}).items())
    facts.update({fact: frozenset(refs) for fact, refs in sets.items()})
    members: dict[ServiceId, list[Instance]] = {}
    for instance in alive:
        members.setdefault(instance.service_id, []).append(instance)
    facts.update({MembersFact(service): tuple(found) for service, found in members.items()})
    for namespace, key, value in labels:
        carrying = tuple(one for one in alive if one.namespace == namespace and one.labels.get(key) == value)
        facts[LabelledFact(Namespace(namespace), key, value)] = carrying or None
    return facts


def declare(memo: Memo, resources: Iterable[Resource[Record]], instances: Iterable[Instance] = ()) -> None:
    """Set every fact that these objects and instances give rise to."""
    for fact, value in facts_of(resources, instances).items():
        memo.set(fact, value)


def world(*documents: Document, instances: Iterable[Instance] = ()) -> Memo:
    """Return a memory in which these documents are declared and these instances run."""
    memo = Memo()
    declare(memo, [resource_of(document) for document in documents], instances)
    accept_edges(memo)
    return memo


def running(service: str, name: str = "a", namespace: str = "default", port: int = 20001, **more: Any) -> Instance:
    """Return an instance on 127.0.0.1."""
    short = {"namespace": namespace, "service": service, "id": name, "address": "127.0.0.1", "port": port}
    return instance_of(short | more)


def reject(memo: Memo, ref: ObjectRef, generation: int, message: str, last: Resource[Record] | None = None) -> None:
    """A proxy refused a generation of an object; `last` is what it took before."""
    memo.set(RejectedFact(ref), Rejection(generation, message))
    memo.set(AcceptedFact(ref), last)


def reject_edge(memo: Memo, edge_port: str, message: str) -> None:
    """A gateway's proxy could not listen."""
    memo.set(EdgeRejectedFact(edge_port), message)


def accept_edges(memo: Memo, *but: str) -> None:
    """The proxies of all Gateways listen on all they were told of, but for these ports."""
    for ref in memo.get(our_gateways):
        for port in memo.get(edge_ports, ref):
            memo.set(EdgeAcceptedFact(port.name), None if port.name in but else port)
