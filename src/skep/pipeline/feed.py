"""Turns what the store and the registry hold into the facts that compilation reads, one change at a time.

In: parsed resources and registrations; out: facts in a `Memo`. It keeps the indexes (which routes name a parent, which
instances carry a label that some Service selects by) so that a change costs what it touches and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import cast

import msgspec

from skep.compiler.facts import AttachedFact, LabelledFact, MembersFact, NamesFact, RejectedFact, ResourceFact
from skep.compiler.memo import Memo
from skep.compiler.services import application_port
from skep.model.instance import Instance, InstanceKey
from skep.model.names import Namespace, ObjectRef, ServiceId
from skep.model.resource import Record, Resource
from skep.routing.httproute import HTTPRoute
from skep.routing.service import Service


class Feed:
    """Writes facts. `members` and `labelled` answer from the registry as it is now.

    `departed` is told of services whose last instance left, with the ports it had.
    """

    def __init__(
        self,
        memo: Memo,
        members: Callable[[ServiceId], tuple[Instance, ...]],
        labelled: Callable[[Namespace, str, str], tuple[Instance, ...]],
        departed: Callable[[ServiceId, frozenset[int]], None] = lambda _service, _ports: None,
    ) -> None:
        self._memo = memo
        self._members = members
        self._labelled = labelled
        self._departed = departed
        self._resources: dict[ObjectRef, Resource[Record]] = {}
        self._names: dict[tuple[str, str, str], set[ObjectRef]] = {}
        self._attached: dict[ObjectRef, set[ObjectRef]] = {}
        self._selected: dict[tuple[Namespace, str, str], set[ObjectRef]] = {}
        self._seen: dict[InstanceKey, Instance] = {}
        self._unsettled: dict[NamesFact | AttachedFact, set[ObjectRef]] = {}
        self._kept: dict[ObjectRef, Resource[Record]] = {}

    @property
    def resources(self) -> Mapping[ObjectRef, Resource[Record]]:
        """The objects as last declared."""
        return self._resources

    @property
    def instances(self) -> AbstractSet[InstanceKey]:
        """The instances known so far."""
        return self._seen.keys()

    def declare(self, ref: ObjectRef, resource: Resource[Record] | None) -> bool:
        """An object was created, changed or, with None, deleted; tell whether that is news. `settle` after a batch."""
        former = self._resources.get(ref)
        before = parents_of(former) | parents_of(self._kept.get(ref))
        if resource is None:
            self._resources.pop(ref, None)
        else:
            # Only a Gateway's status is read back (the address it was given); leaving others' out means that writing
            # a status recompiles nothing.
            resource = resource if ref.kind == "Gateway" else msgspec.structs.replace(resource, status={})
            self._resources[ref] = resource
        if former is None or resource is None:
            self._index_name(ref, present=resource is not None)
        if former is None or resource is None or former.meta.generation != resource.meta.generation:
            self._memo.set(RejectedFact(ref), None)
            self._kept.pop(ref, None)
        self._index_parents(ref, before, parents_of(resource) | parents_of(self._kept.get(ref)))
        self._index_selector(ref, former, resource)
        self._memo.set(ResourceFact(ref), resource)
        return former != resource

    def keep(self, ref: ObjectRef, earlier: Resource[Record] | None) -> None:
        """An earlier form of an object is in force (with None: no longer): its parents count too."""
        declared = parents_of(self._resources.get(ref))
        before = declared | parents_of(self._kept.pop(ref, None))
        if earlier is not None:
            self._kept[ref] = earlier
        self._index_parents(ref, before, declared | parents_of(earlier))
        self.settle()

    def settle(self) -> None:
        """Write the indexes that a batch of declarations touched: once each, however large the batch."""
        unsettled, self._unsettled = self._unsettled, {}
        for fact, refs in unsettled.items():
            self._memo.set(fact, frozenset(refs) or None)

    def refresh_instances(self, keys: Iterable[InstanceKey], now: Mapping[InstanceKey, Instance]) -> None:
        """These instances were registered, changed or removed."""
        services: dict[ServiceId, set[int]] = {}
        labels: dict[tuple[Namespace, str, str], None] = {}
        for key in keys:
            former, instance = self._seen.get(key), now.get(key)
            ports = services.setdefault(ServiceId(key.namespace, key.service), set())
            if former is not None:
                ports.add(application_port(former))
            for known in (former, instance):
                for name, value in known.labels.items() if known else ():
                    if (label := (key.namespace, name, value)) in self._selected:
                        labels[label] = None
            if instance is None:
                self._seen.pop(key, None)
            else:
                self._seen[key] = instance
        for service, ports in services.items():
            members = self._members(service)
            if ports and not members:
                self._departed(service, frozenset(ports))
            self._memo.set(MembersFact(service), members or None)
        for label in labels:
            self._memo.set(LabelledFact(*label), self._labelled(*label) or None)

    def _index_name(self, ref: ObjectRef, *, present: bool) -> None:
        for namespace in {ref.namespace, ""}:
            key = (ref.group, ref.kind, namespace)
            found = self._names.setdefault(key, set())
            (found.add if present else found.discard)(ref)
            self._unsettled[NamesFact(*key)] = found

    def _index_parents(self, ref: ObjectRef, before: frozenset[ObjectRef], after: frozenset[ObjectRef]) -> None:
        for parent in before - after:
            self._attached[parent].discard(ref)
        for parent in after - before:
            self._attached.setdefault(parent, set()).add(ref)
        for parent in before ^ after:
            self._unsettled[AttachedFact(parent)] = self._attached[parent]

    def _index_selector(self, ref: ObjectRef, former: Resource[Record] | None, now: Resource[Record] | None) -> None:
        before, after = selected_by(former), selected_by(now)
        for label in before - after:
            self._selected[label].discard(ref)
            if not self._selected[label]:
                del self._selected[label]
                self._memo.set(LabelledFact(*label), None)
        for label in after - before:
            self._selected.setdefault(label, set()).add(ref)
            self._memo.set(LabelledFact(*label), self._labelled(*label) or None)


def parents_of(resource: Resource[Record] | None) -> frozenset[ObjectRef]:
    """Return the Gateways and Services a route names as its parents."""
    if resource is None or not isinstance(resource.body, HTTPRoute):
        return frozenset()
    return frozenset(
        ObjectRef(parent.group, parent.kind, parent.namespace or resource.meta.namespace, parent.name)
        for parent in resource.body.spec.parent_refs
    )


def selected_by(resource: Resource[Record] | None) -> frozenset[tuple[Namespace, str, str]]:
    """Return the labels a Service selects instances by."""
    if resource is None or not isinstance(resource.body, Service):
        return frozenset()
    selector = resource.body.spec.selector or {}
    return frozenset((cast(Namespace, resource.meta.namespace), key, value) for key, value in selector.items())
