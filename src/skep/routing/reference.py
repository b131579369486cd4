"""What specs share for naming other objects: the shapes of references, their limits, and the check for repeated names.

In: parsed references. Out: violations. Defaults are the Gateway API's.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from skep.model.names import is_dns_label, is_dns_subdomain, is_label_key, is_label_value
from skep.model.resource import Record
from skep.model.violation import Violation

Port = Annotated[StrictInt, Field(ge=1, le=65535)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]

_KIND = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")


class SelectorRequirement(Record):
    """One condition on a label."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()


class LabelSelector(Record):
    """Conditions on labels, all of which hold."""

    match_labels: Mapping[str, str] = Field(default_factory=dict)
    match_expressions: tuple[SelectorRequirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels satisfy it; an empty selector is satisfied by all."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            _satisfies(requirement, labels) for requirement in self.match_expressions
        )


def _satisfies(requirement: SelectorRequirement, labels: Mapping[str, str]) -> bool:
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in requirement.values
        case "NotIn":
            return labels.get(requirement.key) not in requirement.values
        case "Exists":
            return requirement.key in labels
        case "DoesNotExist":
            return requirement.key not in labels


def check_selector(path: str, selector: LabelSelector) -> list[Violation]:
    """Say what is wrong with a label selector."""
    found = check_labels(f"{path}.matchLabels", selector.match_labels)
    for index, requirement in enumerate(selector.match_expressions):
        here = f"{path}.matchExpressions[{index}]"
        if not is_label_key(requirement.key):
            found.append(Violation(f"{here}.key", "invalid", "must be a label's key"))
        listed = requirement.operator in ("In", "NotIn")
        if listed != bool(requirement.values):
            needs = "must name at least one value" if listed else "must be empty"
            found.append(Violation(f"{here}.values", "invalid", f"{needs} with operator {requirement.operator}"))
        found.extend(
            Violation(f"{here}.values[{place}]", "invalid", "must be a label's value")
            for place, value in enumerate(requirement.values)
            if not is_label_value(value)
        )
    return found


def check_labels(path: str, labels: Mapping[str, str]) -> list[Violation]:
    """Say which keys and values cannot be labels."""
    found = []
    for key, value in labels.items():
        if not is_label_key(key):
            found.append(Violation(f"{path}[{key[:80]}]", "invalid", "the key must be a label's key"))
        if not is_label_value(value):
            found.append(Violation(f"{path}[{key[:80]}]", "invalid", "must be a label's value, at most 63 characters"))
    return found


def check_group_kind(path: str, group: str, kind: str) -> list[Violation]:
    """Say what is wrong with the group and kind of a reference."""
    found = []
    if group and not is_dns_subdomain(group):
        found.append(Violation(f"{path}.group", "invalid", "must be empty or a DNS name"))
    if _KIND.fullmatch(kind) is None:
        found.append(Violation(f"{path}.kind", "invalid", "must be a kind: letters, digits and dashes, at most 63"))
    return found


def check_namespace(path: str, namespace: str | None) -> list[Violation]:
    """Say what is wrong with a reference's namespace."""
    if namespace is None or is_dns_label(namespace):
        return []
    return [Violation(f"{path}.namespace", "invalid", "must be a namespace's name")]


def check_section(path: str, section: str | None) -> list[Violation]:
    """Say what is wrong with the name of a listener, port or rule."""
    if section is None or is_dns_subdomain(section):
        return []
    return [Violation(path, "invalid", "must be a lower-case DNS name, at most 253 characters")]


def check_unique(values: Iterable[tuple[str, object]], what: str) -> list[Violation]:
    """Report each path whose value an earlier one has already."""
    seen: set[object] = set()
    found = []
    for path, value in values:
        if value in seen:
            found.append(Violation(path, "duplicate", f"{what} must be unique, and an earlier one has it"))
        seen.add(value)
    return found
