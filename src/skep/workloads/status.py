"""What a Deployment's status says, in Kubernetes' words. In: the Deployment, its pods, the last status, now. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from skep.model.notes import unhonoured
from skep.workloads.plan import ObservedPod, Wanted, can_run, limits, template_hash

HONOURED = "skep.dev/Honoured"
NO_COMMAND = (
    "an image alone cannot be run as a local process: set `command` to the program to start; the image is recorded for "
    "a container runtime"
)


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that a status is computed from."""

    wanted: Wanted
    generation: int
    pods: Sequence[ObservedPod]
    agents: Sequence[str]
    last: Mapping[str, Any]
    """The status as stored."""
    now: datetime


def deployment_status(situation: Situation) -> dict[str, Any]:
    """Return the new status; equal to the last one when nothing changed."""
    pods = situation.pods
    wish = situation.wanted.body.spec.replicas
    current = template_hash(situation.wanted.body.spec.template)
    available = sum(pod.available for pod in pods)
    counts = {
        "observedGeneration": situation.generation,
        "replicas": len(pods),
        "updatedReplicas": sum(pod.template_hash == current for pod in pods),
        "readyReplicas": sum(pod.ready for pod in pods),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(wish, len(pods)) - available),
    }
    conditions = [_available(situation, available), _progressing(situation, counts)]
    if not can_run(situation.wanted.body):
        conditions.append(_condition(situation, "ReplicaFailure", "True", "NoCommand", NO_COMMAND))
    ignored = unhonoured(situation.wanted.body.spec, "spec")
    if ignored:
        message = "recorded, not acted on: " + "; ".join(f"{note.path} ({note.reason})" for note in ignored)
        conditions.append(_condition(situation, HONOURED, "False", "FieldsIgnored", message))
    return {**counts, "conditions": conditions}


def next_look_s(situation: Situation) -> float | None:
    """Return in how many seconds the status may change by time alone; None when it cannot."""
    last = _last_condition(situation.last, "Progressing")
    if last.get("reason") != "ReplicaSetUpdated":
        return None
    deadline = _moment(last["lastUpdateTime"]) + timedelta(
        seconds=situation.wanted.body.spec.progress_deadline_seconds + 1
    )
    return max(0.1, (deadline - situation.now).total_seconds())


def _available(situation: Situation, available: int) -> dict[str, Any]:
    least = limits(situation.wanted.body.spec)[1]
    if available >= least:
        message = "Deployment has minimum availability."
        return _condition(situation, "Available", "True", "MinimumReplicasAvailable", message)
    message = f"Deployment does not have minimum availability: {available} of at least {least} replicas are available."
    return _condition(situation, "Available", "False", "MinimumReplicasUnavailable", message)


def _progressing(situation: Situation, counts: Mapping[str, int]) -> dict[str, Any]:
    spec = situation.wanted.body.spec
    last, last_status = _last_condition(situation.last, "Progressing"), situation.last
    complete = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == spec.replicas
    if spec.paused:
        return _condition(situation, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused.")
    if complete:
        message = f"{spec.replicas} of {spec.replicas} replicas run the current template."
        return _condition(situation, "Progressing", "True", "NewReplicaSetAvailable", message)
    message = f"{counts['updatedReplicas']} of {spec.replicas} replicas run the current template."
    if not situation.agents:
        message += " No agent is connected that could start more: run `skep agent`."
    names = ("observedGeneration", "updatedReplicas", "readyReplicas", "availableReplicas")
    moved = any(counts[name] > last_status.get(name, 0) for name in names)
    moved = moved or counts["replicas"] - counts["updatedReplicas"] < (
        last_status.get("replicas", 0) - last_status.get("updatedReplicas", 0)
    )
    if moved or not last or last.get("reason") in ("NewReplicaSetAvailable", "DeploymentPaused"):
        return _condition(situation, "Progressing", "True", "ReplicaSetUpdated", message, updated=True)
    late = _moment(last["lastUpdateTime"]) + timedelta(seconds=spec.progress_deadline_seconds) < situation.now
    if late or last.get("reason") == "ProgressDeadlineExceeded":
        text = f"{message} Nothing moved for {spec.progress_deadline_seconds} s."
        return _condition(situation, "Progressing", "False", "ProgressDeadlineExceeded", text)
    return _condition(situation, "Progressing", "True", "ReplicaSetUpdated", message)


def _condition(
    situation: Situation, type_: str, status: str, reason: str, message: str, *, updated: bool = False
) -> dict[str, Any]:
    last = _last_condition(situation.last, type_)
    now = situation.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    same = last.get("status") == status
    unchanged = same and last.get("reason") == reason and not updated
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": last["lastUpdateTime"] if unchanged else now,
        "lastTransitionTime": last["lastTransitionTime"] if same else now,
    }


def _last_condition(status: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next((one for one in status.get("conditions", ()) if one.get("type") == type_), {})
    return found


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
