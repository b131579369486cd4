"""Deployment and Pod as users write them. In: parsed bodies; out: every violation with its Kubernetes path."""

from typing import Any

from pydantic import Field, StrictBool, StrictInt

from skep.model.names import SERVICE_LABEL, is_dns_label, is_label_key, is_label_value
from skep.model.resource import Record
from skep.model.violation import Violation
from skep.workloads.template import IntOrString, PodSpec, PodTemplate, ignored
from skep.workloads.template_rules import validate_pod_spec

MAX_REPLICAS = 1000
"""Of one Deployment: they are processes of one host."""
MAX_SECONDS = 2**31 - 1
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


class Requirement(Record):
    """One condition on a label."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Record):
    """Labels a pod must carry; all conditions hold."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()


class RollingUpdate(Record):
    """How far an update may stray from the wished number of replicas: a number, or a share like `25%`."""

    max_surge: IntOrString = "25%"
    """How many more replicas may exist; a share is rounded up."""
    max_unavailable: IntOrString = "25%"
    """How many fewer may be available; a share is rounded down."""


class Strategy(Record):
    """How replicas are replaced: `RollingUpdate`, or `Recreate` (stop all, then start)."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Record):
    """How many replicas of what."""

    replicas: StrictInt = 1
    selector: LabelSelector
    """Must match the template's labels."""
    template: PodTemplate
    strategy: Strategy = Strategy()
    min_ready_seconds: StrictInt = 0
    """How long a replica must be ready to count as available."""
    progress_deadline_seconds: StrictInt = 600
    """After how long without progress the Deployment says so."""
    paused: StrictBool = False
    """No replica is replaced while set."""
    revision_history_limit: Any = ignored("earlier templates are not kept; apply the earlier manifest to go back")


class Deployment(Record):
    """`apps/v1 Deployment`: keeps a number of replicas of a program running."""

    spec: DeploymentSpec


class Pod(Record):
    """`v1 Pod`: one replica. Written by Skep, read by users."""

    spec: PodSpec


def selects(selector: LabelSelector, labels: dict[str, str]) -> bool:
    """Tell whether labels fulfil a selector; an empty one selects all."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(requirement, labels) for requirement in selector.match_expressions
    )


def _holds(requirement: Requirement, labels: dict[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case _:
            return value is None


def validate_deployment(body: Deployment) -> list[Violation]:
    """Return everything that is wrong with a Deployment."""
    spec = body.spec
    found = [
        Violation(f"spec.{path}", "invalid", f"must be between 0 and {most}")
        for path, value, most in (
            ("replicas", spec.replicas, MAX_REPLICAS),
            ("minReadySeconds", spec.min_ready_seconds, MAX_SECONDS),
            ("progressDeadlineSeconds", spec.progress_deadline_seconds, MAX_SECONDS),
        )
        if not 0 <= value <= most
    ]
    if spec.progress_deadline_seconds <= spec.min_ready_seconds:
        found.append(Violation("spec.progressDeadlineSeconds", "invalid", "must be greater than minReadySeconds"))
    found += _validate_selector(spec.selector)
    labels = spec.template.metadata.labels
    found += _validate_labels(labels, "spec.template.metadata.labels")
    if not selects(spec.selector, labels):
        found.append(Violation("spec.template.metadata.labels", "invalid", "`selector` does not match these labels"))
    found += _validate_strategy(spec.strategy)
    return found + validate_pod_spec(spec.template.spec, "spec.template.spec")


def validate_pod(body: Pod) -> list[Violation]:
    """Return everything that is wrong with a Pod."""
    return validate_pod_spec(body.spec, "spec")


def _validate_selector(selector: LabelSelector) -> list[Violation]:
    found = _validate_labels(selector.match_labels, "spec.selector.matchLabels", service=False)
    if not selector.match_labels and not selector.match_expressions:
        found.append(Violation("spec.selector", "required", "an empty selector would select every pod; name a label"))
    for index, requirement in enumerate(selector.match_expressions):
        path = f"spec.selector.matchExpressions[{index}]"
        if not is_label_key(requirement.key):
            found.append(Violation(f"{path}.key", "invalid", f"{requirement.key!r} is not a label key"))
        if requirement.operator not in OPERATORS:
            found.append(Violation(f"{path}.operator", "unsupported", f"use one of {', '.join(OPERATORS)}"))
        elif (requirement.operator in ("In", "NotIn")) != bool(requirement.values):
            wish = "needs at least one value" if requirement.operator in ("In", "NotIn") else "takes no values"
            found.append(Violation(f"{path}.values", "invalid", f"{requirement.operator} {wish}"))
    return found


def _validate_labels(labels: dict[str, str], path: str, *, service: bool = True) -> list[Violation]:
    found = []
    for key, value in labels.items():
        if not is_label_key(key):
            found.append(Violation(f"{path}[{key}]", "invalid", f"{key!r} is not a label key"))
        if not is_label_value(value):
            found.append(Violation(f"{path}[{key}]", "invalid", f"{value!r} is not a label value"))
        if service and key == SERVICE_LABEL and not is_dns_label(value):
            found.append(Violation(f"{path}[{key}]", "invalid", f"{value!r} cannot be the name of a service"))
    return found


def _validate_strategy(strategy: Strategy) -> list[Violation]:
    path = "spec.strategy"
    if strategy.type not in ("RollingUpdate", "Recreate"):
        return [Violation(f"{path}.type", "unsupported", "use RollingUpdate or Recreate")]
    if strategy.rolling_update is None:
        return []
    path = f"{path}.rollingUpdate"
    if strategy.type == "Recreate":
        return [Violation(path, "invalid", "may not be set when `type` is Recreate")]
    surge, unavailable = strategy.rolling_update.max_surge, strategy.rolling_update.max_unavailable
    found = _validate_share(surge, f"{path}.maxSurge") + _validate_share(unavailable, f"{path}.maxUnavailable")
    if isinstance(unavailable, str) and not found and int(unavailable[:-1]) > 100:
        found.append(Violation(f"{path}.maxUnavailable", "invalid", "at most 100%"))
    if not found and _is_zero(surge) and _is_zero(unavailable):
        found.append(Violation(f"{path}.maxUnavailable", "invalid", "may not be 0 when `maxSurge` is 0"))
    return found


def _validate_share(value: int | str, path: str) -> list[Violation]:
    if isinstance(value, int):
        within = 0 <= value <= MAX_SECONDS
        return [] if within else [Violation(path, "invalid", f"must be between 0 and {MAX_SECONDS}")]
    digits = value.removesuffix("%")
    if value == digits or not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        return [Violation(path, "invalid", f"{value!r} is neither a number nor a share like 25%")]
    return []


def _is_zero(value: int | str) -> bool:
    return value == 0 if isinstance(value, int) else int(value[:-1]) == 0
