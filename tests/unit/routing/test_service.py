"""What a Service may say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.kinds import kind_for, parse
from skep.model.notes import notes
from tests.support.manifests import anything, deep, paths, service


@pytest.mark.parametrize(
    "spec",
    [
        {"ports": [{"port": 80}]},
        {"ports": [{"port": 80, "targetPort": "http", "appProtocol": "kubernetes.io/h2c"}], "selector": {"app": "a"}},
        {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81, "targetPort": 9000}]},
        {"type": "ExternalName", "externalName": "mail.example.com."},
        {"clusterIP": "None"},
        {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]},
    ],
)
def test_good_services(spec: dict[str, Any]) -> None:
    assert paths(service("a", **spec)) == []


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"type": "ClusterIP"}, ["spec.ports"]),
        ({"type": "ExternalName"}, ["spec.externalName"]),
        ({"type": "ExternalName", "externalName": "Bad Name"}, ["spec.externalName"]),
        ({"externalName": "a.example", "ports": [{"port": 80}]}, ["spec.externalName"]),
        ({"ports": [{"port": 0}, {"port": "80"}]}, ["spec.ports[0].port", "spec.ports[1].port"]),
        ({"ports": [{"port": 80}, {"port": 81}]}, ["spec.ports[0].name", "spec.ports[1].name"]),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 80}]},
            ["spec.ports[1].name", "spec.ports[1].port"],
        ),
        ({"ports": [{"port": 80, "targetPort": 70000}]}, ["spec.ports[0].targetPort"]),
        ({"ports": [{"port": 80, "targetPort": "Not A Port"}]}, ["spec.ports[0].targetPort"]),
        ({"ports": [{"port": 80, "appProtocol": "?"}]}, ["spec.ports[0].appProtocol"]),
        ({"ports": [{"name": "A_B", "port": 80}]}, ["spec.ports[0].name"]),
        ({"ports": [{"port": 80}], "selector": {"bad key": "a"}}, ["spec.selector[bad key]"]),
        ({"type": "Magic", "ports": [{"port": 80}]}, ["spec.type"]),
        ({"ports": [{"name": f"p{i}", "port": i + 1} for i in range(101)]}, ["spec.ports"]),
    ],
)
def test_every_mistake_has_its_path(spec: dict[str, Any], found: list[str]) -> None:
    assert paths(service("a", **spec)) == found


def test_what_has_no_effect_is_noted() -> None:
    kind = kind_for("", "Service")
    assert kind is not None
    read = parse(kind, service("a", type="LoadBalancer", loadBalancerIP="10.0.0.1", ports=[{"port": 80}], colour="red"))
    assert not isinstance(read, list)
    assert [note.path for note in notes(read.body)] == ["spec.colour", "spec.loadBalancerIP", "spec.type"]


@given(st.dictionaries(st.sampled_from(["ports", "selector", "type", "externalName", "clusterIP", "x"]), anything))
def test_no_spec_makes_validation_raise(spec: dict[str, Any]) -> None:
    paths(service("a", **spec))


def test_depth_does_not_make_validation_raise() -> None:
    assert paths(service("a", ports=[{"port": 80}], sessionAffinityConfig=deep())) == []
    assert paths(service("a", ports=deep())) == ["spec.ports"]
