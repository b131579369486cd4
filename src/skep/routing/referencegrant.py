"""The kind ReferenceGrant: whom a namespace lets refer to its objects from elsewhere.

In: a parsed manifest. Out: the spec and every violation.
"""

from pydantic import Field

from skep.model.resource import Record
from skep.model.violation import Violation
from skep.routing.reference import ObjectName, check_group_kind, check_namespace


class GrantFrom(Record):
    """Who may refer."""

    group: str
    kind: str
    namespace: str


class GrantTo(Record):
    """What may be referred to."""

    group: str
    kind: str
    name: ObjectName | None = None
    """Without it, every object of the kind."""


class ReferenceGrantSpec(Record):
    """What the author wrote."""

    from_: tuple[GrantFrom, ...] = Field(alias="from", max_length=16, json_schema_extra={"minItems": 1})
    to: tuple[GrantTo, ...] = Field(max_length=16, json_schema_extra={"minItems": 1})


class ReferenceGrant(Record):
    """Lets objects of other namespaces refer to objects of its own."""

    spec: ReferenceGrantSpec


def validate_referencegrant(body: ReferenceGrant) -> list[Violation]:
    """Return everything that is wrong with a ReferenceGrant."""
    found = [
        Violation(f"spec.{field}", "required", "must hold at least one item")
        for field, items in (("from", body.spec.from_), ("to", body.spec.to))
        if not items
    ]
    for index, source in enumerate(body.spec.from_):
        path = f"spec.from[{index}]"
        found += check_group_kind(path, source.group, source.kind)
        found += check_namespace(path, source.namespace)
    for index, target in enumerate(body.spec.to):
        found += check_group_kind(f"spec.to[{index}]", target.group, target.kind)
    return found
