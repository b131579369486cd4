"""Deployments as users write them: every mistake is named at its path."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from skep.model.notes import unhonoured
from skep.workloads.spec import Deployment, LabelSelector, Pod, selects, validate_deployment, validate_pod

PROBE: dict[str, Any] = {"httpGet": {"path": "/", "port": 80}}


def document(**spec: Any) -> dict[str, Any]:
    container = {"name": "web", "command": ["serve"], **spec.pop("container", {})}
    pod = {"containers": [container], **spec.pop("pod", {})}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    return {"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}}


def paths(**spec: Any) -> list[str]:
    violations = validate_deployment(Deployment.model_validate(document(**spec)))
    assert all(violation.message and violation.code for violation in violations)
    return [violation.path for violation in violations]


def container_paths(**container: Any) -> list[str]:
    prefix = "spec.template.spec.containers[0]."
    return [path.removeprefix(prefix) for path in paths(container=container)]


def test_a_usual_deployment_is_fine() -> None:
    container = {
        "image": "web:1",
        "args": ["--port", "$(PORT)"],
        "env": [
            {"name": "A", "value": "b"},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "ports": [{"containerPort": 80, "name": "http"}],
        "readinessProbe": {"httpGet": {"port": "http"}},
        "livenessProbe": {"tcpSocket": {"port": 80}},
        "startupProbe": {"exec": {"command": ["true"]}},
        "resources": {"limits": {"cpu": "1"}},
    }
    assert paths(container=container, replicas=3, strategy={"rollingUpdate": {"maxSurge": 1}}) == []


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"replicas": -1}, "spec.replicas"),
        ({"replicas": 10**12}, "spec.replicas"),
        ({"minReadySeconds": 600}, "spec.progressDeadlineSeconds"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "spec.template.metadata.labels"),
        ({"selector": {}}, "spec.selector"),
        ({"selector": {"matchLabels": {"app": "web", "!": "x"}}}, "spec.selector.matchLabels[!]"),
        (
            {"selector": {"matchExpressions": [{"key": "app", "operator": "Is"}]}},
            "spec.selector.matchExpressions[0].operator",
        ),
        (
            {"selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}},
            "spec.selector.matchExpressions[0].values",
        ),
        ({"strategy": {"type": "BlueGreen"}}, "spec.strategy.type"),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {}}}, "spec.strategy.rollingUpdate"),
        ({"strategy": {"rollingUpdate": {"maxSurge": "x%"}}}, "spec.strategy.rollingUpdate.maxSurge"),
        ({"strategy": {"rollingUpdate": {"maxSurge": -1}}}, "spec.strategy.rollingUpdate.maxSurge"),
        ({"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}}, "spec.strategy.rollingUpdate.maxUnavailable"),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
            "spec.strategy.rollingUpdate.maxUnavailable",
        ),
        ({"pod": {"containers": []}}, "spec.template.spec.containers"),
        ({"pod": {"restartPolicy": "Never"}}, "spec.template.spec.restartPolicy"),
        ({"pod": {"terminationGracePeriodSeconds": -1}}, "spec.template.spec.terminationGracePeriodSeconds"),
    ],
)
def test_each_mistake_is_named(spec: dict[str, Any], path: str) -> None:
    assert path in paths(**spec)


@pytest.mark.parametrize(
    ("container", "path"),
    [
        ({"name": "Web"}, "name"),
        ({"command": []}, "command"),
        ({"command": ["a\0b"]}, "command[0]"),
        ({"args": ["x", "a\0b"]}, "args[1]"),
        ({"ports": [{"containerPort": 0}]}, "ports[0].containerPort"),
        ({"ports": [{"containerPort": 80, "name": "HTTP!"}]}, "ports[0].name"),
        ({"ports": [{"containerPort": 80, "protocol": "ICMP"}]}, "ports[0].protocol"),
        ({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}, "ports[1].name"),
        ({"env": [{"name": ""}]}, "env[0].name"),
        ({"env": [{"name": "A=B"}]}, "env[0].name"),
        ({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, "env[0].valueFrom"),
        ({"env": [{"name": "A", "valueFrom": {}}]}, "env[0].valueFrom"),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}, "env[0].valueFrom.fieldRef.fieldPath"),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": ""}}}]}, "env[0].valueFrom.secretKeyRef.key"),
        ({"envFrom": [{}]}, "envFrom[0]"),
        ({"envFrom": [{"configMapRef": {"name": "N"}}]}, "envFrom[0].configMapRef.name"),
        ({"readinessProbe": {}}, "readinessProbe"),
        ({"readinessProbe": {**PROBE, "tcpSocket": {"port": 1}}}, "readinessProbe"),
        ({"readinessProbe": {"httpGet": {"port": 70000}}}, "readinessProbe.httpGet.port"),
        ({"readinessProbe": {"httpGet": {"port": "web"}}}, "readinessProbe.httpGet.port"),
        ({"readinessProbe": {"httpGet": {"port": 1, "scheme": "FTP"}}}, "readinessProbe.httpGet.scheme"),
        ({"readinessProbe": {"httpGet": {"port": 1, "path": "/\n"}}}, "readinessProbe.httpGet.path"),
        ({"readinessProbe": {"exec": {}}}, "readinessProbe.exec.command"),
        ({"readinessProbe": {**PROBE, "periodSeconds": 0}}, "readinessProbe.periodSeconds"),
        ({"livenessProbe": {**PROBE, "successThreshold": 2}}, "livenessProbe.successThreshold"),
    ],
)  # fmt: skip
def test_each_mistake_in_a_container_is_named(container: dict[str, Any], path: str) -> None:
    assert container_paths(**container) == [path]


def test_all_mistakes_are_returned_at_once() -> None:
    found = paths(replicas=-1, strategy={"type": "x"}, container={"name": "X", "ports": [{"containerPort": 0}]})
    assert len(found) == 4


def test_two_containers_are_refused_for_now() -> None:
    two = [{"name": "a", "command": ["x"]}, {"name": "a", "command": ["y"]}]
    assert paths(pod={"containers": two}) == ["spec.template.spec.containers", "spec.template.spec.containers[1].name"]


def test_pods_are_checked_alike() -> None:
    assert [v.path for v in validate_pod(Pod.model_validate({"spec": {"containers": []}}))] == ["spec.containers"]


def test_what_is_not_honoured_is_listed_unless_empty() -> None:
    body = Deployment.model_validate(
        document(
            revisionHistoryLimit=3,
            pod={"volumes": [], "nodeSelector": {"disk": "ssd"}},
            container={"resources": {}, "ports": [{"containerPort": 1, "hostIP": "1.2.3.4"}]},
        )
    )
    found = {note.path: note.reason for note in unhonoured(body.spec, "spec")}
    assert "spec.revisionHistoryLimit" in found
    assert "spec.template.spec.nodeSelector" in found
    assert "spec.template.spec.volumes" not in found
    assert not unhonoured(Deployment.model_validate(document()).spec, "spec")


def test_numbers_written_as_text_are_refused() -> None:
    for bad in ({"replicas": "2"}, {"replicas": True}, {"paused": "yes"}):
        with pytest.raises(ValidationError):
            Deployment.model_validate(document(**bad))


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")), st.sampled_from("abc"), st.sampled_from("xyz"))
def test_opposite_requirements_split_all_labels(labels: dict[str, str], key: str, value: str) -> None:
    def holds(operator: str, *values: str) -> bool:
        requirement = {"key": key, "operator": operator, "values": values}
        return selects(LabelSelector.model_validate({"matchExpressions": [requirement]}), labels)

    assert holds("In", value) is (labels.get(key) == value)
    assert holds("NotIn", value) is not holds("In", value)
    assert holds("Exists") is (key in labels)
    assert holds("DoesNotExist") is not holds("Exists")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["replicas", "selector", "strategy", "minReadySeconds", "paused", "progressDeadlineSeconds", "template", "x"]
CONTAINER_FIELDS = [
    "name",
    "command",
    "args",
    "env",
    "envFrom",
    "ports",
    "readinessProbe",
    "livenessProbe",
    "workingDir",
]


@given(
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=3),
    st.dictionaries(st.sampled_from(CONTAINER_FIELDS), json_values, max_size=3),
)
def test_hostile_documents_are_refused_or_judged_but_never_crash(
    spec: dict[str, Any], container: dict[str, Any]
) -> None:
    whole = document(container=container)
    whole["spec"].update(spec)
    try:
        body = Deployment.model_validate(whole)
    except ValidationError:
        return
    for violation in validate_deployment(body):
        assert violation.path.startswith("spec")
    unhonoured(body.spec, "spec")
