"""A Deployment's status: what `kubectl rollout status` reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

from skep.workloads.plan import ObservedPod, Wanted, template_hash
from skep.workloads.spec import Deployment
from skep.workloads.status import Situation, deployment_status, next_look_s

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def body(**spec: Any) -> Deployment:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "web", "command": ["x"]}]}}
    selector = {"matchLabels": {"a": "b"}}
    return Deployment.model_validate({"spec": {"replicas": 2, "selector": selector, "template": template, **spec}})


def situation(
    up: int, down: int = 0, *, last: dict[str, Any] | None = None, after_s: float = 0, **spec: Any
) -> Situation:
    wanted = Wanted(name="web", uid="u", body=body(**spec))
    current = template_hash(wanted.body.spec.template)
    pods = [
        ObservedPod(name=f"p{n}", template_hash=current, created=("", n), node="a", ready=n < up, available=n < up)
        for n in range(up + down)
    ]
    return Situation(
        wanted=wanted, generation=3, pods=pods, agents=["a"], last=last or {}, now=T0 + timedelta(seconds=after_s)
    )


def progressing(status: dict[str, Any]) -> tuple[str, str]:
    return next((one["status"], one["reason"]) for one in status["conditions"] if one["type"] == "Progressing")


def test_counts() -> None:
    status = deployment_status(situation(1, 1))
    counts = {name: value for name, value in status.items() if name != "conditions"}
    assert counts == {
        "observedGeneration": 3,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "unavailableReplicas": 1,
    }


def test_same_situation_gives_the_same_status_later() -> None:
    first = deployment_status(situation(2))
    assert progressing(first) == ("True", "NewReplicaSetAvailable")
    assert deployment_status(situation(2, last=first, after_s=99)) == first


def test_progress_puts_the_deadline_off_and_its_absence_meets_it() -> None:
    spec: dict[str, Any] = {"progressDeadlineSeconds": 60}
    first = deployment_status(situation(0, 1, **spec))
    assert progressing(first) == ("True", "ReplicaSetUpdated")
    assert next_look_s(situation(0, 1, last=first, **spec)) == 61
    moved = deployment_status(situation(0, 2, last=first, after_s=50, **spec))
    waiting = deployment_status(situation(0, 2, last=moved, after_s=100, **spec))
    assert progressing(waiting) == ("True", "ReplicaSetUpdated")
    late = deployment_status(situation(0, 2, last=waiting, after_s=111, **spec))
    assert progressing(late) == ("False", "ProgressDeadlineExceeded")
    assert deployment_status(situation(0, 2, last=late, after_s=999, **spec)) == late
    assert next_look_s(situation(0, 2, last=late, **spec)) is None
    recovered = deployment_status(situation(2, last=late, after_s=1000, **spec))
    assert progressing(recovered) == ("True", "NewReplicaSetAvailable")


def test_paused() -> None:
    assert progressing(deployment_status(situation(2, paused=True))) == ("Unknown", "DeploymentPaused")
