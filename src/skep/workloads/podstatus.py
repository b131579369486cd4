"""What a pod's status says, in Kubernetes' words. In: what the agent knows of the replica, the last status; out: a status. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from skep.model.notes import unhonoured
from skep.workloads.environment import LOCAL_ADDRESS
from skep.workloads.status import HONOURED
from skep.workloads.template import PodSpec


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run of the program ended."""

    exit_code: int | None
    """None when nobody saw it."""
    reason: str
    """`Error`, `Completed`, or why it was killed."""
    started_at: str
    finished_at: str
    message: str = ""


class ReplicaView(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent knows of a replica now."""

    state: Literal["waiting", "running", "terminated"] = "waiting"
    reason: str = "ContainerCreating"
    """Why it waits."""
    message: str = ""
    pid: int = 0
    started_at: str = ""
    """When this run started."""
    accepted_at: str = ""
    """When the agent took the pod."""
    ever_ran: bool = False
    started: bool = False
    """Whether the startup probe, if any, has succeeded."""
    ready: bool = False
    restarts: int = 0
    last_end: Ended | None = None


def pod_status(spec: PodSpec, view: ReplicaView, last: Mapping[str, Any], now: str) -> dict[str, Any]:
    """Return the status of a pod; equal to the last one when nothing changed."""
    container = spec.containers[0]
    ready = view.ready and view.state == "running"
    why_not = "" if ready else f"containers with unready status: [{container.name}]"
    conditions = [
        _condition(last, now, "PodScheduled", holds=True),
        _condition(last, now, "Initialized", holds=True),
        _condition(last, now, "ContainersReady", holds=ready, reason="ContainersNotReady", message=why_not),
        _condition(last, now, "Ready", holds=ready, reason="ContainersNotReady", message=why_not),
    ]
    ignored = unhonoured(spec, "spec")
    if ignored:
        text = "recorded, not acted on: " + "; ".join(f"{note.path} ({note.reason})" for note in ignored)
        conditions.append(_condition(last, now, HONOURED, holds=False, reason="FieldsIgnored", message=text))
    return {
        "phase": "Running" if view.ever_ran else "Pending",
        "conditions": conditions,
        "containerStatuses": [
            {
                "name": container.name,
                "image": container.image,
                "imageID": "",
                "containerID": f"process://{view.pid}" if view.pid else "",
                "ready": ready,
                "started": view.started,
                "restartCount": view.restarts,
                "state": _state(view),
                "lastState": {"terminated": _terminated(view.last_end)} if view.last_end else {},
            }
        ],
        "hostIP": LOCAL_ADDRESS,
        "hostIPs": [{"ip": LOCAL_ADDRESS}],
        "podIP": LOCAL_ADDRESS,
        "podIPs": [{"ip": LOCAL_ADDRESS}],
        "startTime": view.accepted_at,
        "qosClass": "BestEffort",
    }


def _state(view: ReplicaView) -> dict[str, Any]:
    if view.state == "running":
        return {"running": {"startedAt": view.started_at}}
    if view.state == "terminated" and view.last_end is not None:
        return {"terminated": _terminated(view.last_end)}
    waiting = {"reason": view.reason}
    if view.message:
        waiting["message"] = view.message
    return {"waiting": waiting}


def _terminated(end: Ended) -> dict[str, Any]:
    # Kubernetes demands a number; nobody saw the code of a process that ended while no agent ran.
    code = 255 if end.exit_code is None else end.exit_code
    found = {"exitCode": code, "reason": end.reason, "startedAt": end.started_at, "finishedAt": end.finished_at}
    if code > 128 and end.exit_code is not None:
        found["signal"] = code - 128
    if end.message:
        found["message"] = end.message
    return found


def _condition(
    last: Mapping[str, Any], now: str, type_: str, *, holds: bool, reason: str = "", message: str = ""
) -> dict[str, Any]:
    status = "True" if holds else "False"
    before: Mapping[str, Any] = next((one for one in last.get("conditions") or () if one.get("type") == type_), {})
    found = {
        "type": type_,
        "status": status,
        "lastTransitionTime": before["lastTransitionTime"] if before.get("status") == status else now,
    }
    if not holds:
        found |= {"reason": reason, "message": message}
    return found
