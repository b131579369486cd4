"""A pod's status says how its replica is, in Kubernetes' words."""

from typing import Any

import msgspec

from skep.workloads.podstatus import Ended, ReplicaView, pod_status
from skep.workloads.template import PodSpec

SPEC = PodSpec.model_validate({"containers": [{"name": "web", "image": "web:1"}]})
T0, T1 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"
RUNNING = ReplicaView(state="running", pid=7, started_at=T0, accepted_at=T0, ever_ran=True, started=True, ready=True)


def condition(status: dict[str, Any], type_: str) -> dict[str, Any]:
    (found,) = [one for one in status["conditions"] if one["type"] == type_]
    return dict(found)


def test_waiting_at_first() -> None:
    status = pod_status(SPEC, ReplicaView(accepted_at=T0), {}, T0)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert condition(status, "Ready")["status"] == "False"
    assert condition(status, "PodScheduled")["status"] == "True"


def test_running_and_ready() -> None:
    status = pod_status(SPEC, RUNNING, {}, T0)
    (container,) = status["containerStatuses"]
    assert status["phase"] == "Running"
    assert container["state"] == {"running": {"startedAt": T0}}
    assert (container["ready"], container["started"], container["restartCount"]) == (True, True, 0)
    assert container["image"] == "web:1"
    assert container["lastState"] == {}
    assert condition(status, "Ready") == {"type": "Ready", "status": "True", "lastTransitionTime": T0}


def test_crashed_shows_its_last_end() -> None:
    end = Ended(exit_code=137, reason="Error", started_at=T0, finished_at=T1)
    view = msgspec.structs.replace(
        RUNNING, state="waiting", reason="CrashLoopBackOff", message="m", restarts=2, last_end=end
    )
    status = pod_status(SPEC, view, {}, T1)
    (container,) = status["containerStatuses"]
    assert status["phase"] == "Running"
    assert container["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}}
    assert container["lastState"]["terminated"] == {
        "exitCode": 137,
        "signal": 9,
        "reason": "Error",
        "startedAt": T0,
        "finishedAt": T1,
    }
    assert condition(status, "ContainersReady")["message"] == "containers with unready status: [web]"
    ended = pod_status(SPEC, msgspec.structs.replace(view, state="terminated"), {}, T1)
    assert ended["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


def test_exit_that_nobody_saw_has_a_number_and_no_signal() -> None:
    end = Ended(exit_code=None, reason="Error", started_at=T0, finished_at=T1)
    status = pod_status(SPEC, msgspec.structs.replace(RUNNING, last_end=end), {}, T1)
    terminated = status["containerStatuses"][0]["lastState"]["terminated"]
    assert terminated["exitCode"] == 255
    assert "signal" not in terminated


def test_times_move_only_with_a_change() -> None:
    first = pod_status(SPEC, RUNNING, {}, T0)
    assert pod_status(SPEC, RUNNING, first, T1) == first
    down = pod_status(SPEC, msgspec.structs.replace(RUNNING, ready=False), first, T1)
    assert condition(down, "Ready")["lastTransitionTime"] == T1
    assert condition(down, "PodScheduled")["lastTransitionTime"] == T0


def test_what_is_not_honoured_is_said() -> None:
    spec = PodSpec.model_validate({"containers": [{"name": "web", "volumeMounts": [{"name": "x"}]}]})
    said = condition(pod_status(spec, RUNNING, {}, T0), "skep.dev/Honoured")
    assert said["status"] == "False"
    assert "spec.containers[0].volumeMounts" in said["message"]
