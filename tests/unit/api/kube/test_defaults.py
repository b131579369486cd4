"""What the server fills in and drops, as readers of Kubernetes expect to see it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.local_api import LocalApi, config_map, deployment, local_api, service

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"
EVENTS = "/api/v1/namespaces/default/events"


@pytest.fixture
def api() -> Iterator[LocalApi]:
    with local_api() as opened:
        yield opened


def warnings(api: LocalApi, path: str, document: dict[str, Any]) -> list[str]:
    response = api.call("POST", path, document)
    assert response.status_code == 201, response.text
    return [text.removeprefix('299 - "').removesuffix('"') for text in response.headers.get_list("warning")]


def test_probes_and_strategy_are_shown_in_full(api: LocalApi) -> None:
    document = deployment()
    container = document["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"port": 80}, "periodSeconds": 2}
    container["livenessProbe"] = {"tcpSocket": {"port": 80}}
    document["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 1}}
    spec = api.create(DEPLOYMENTS, document)["spec"]
    kept = spec["template"]["spec"]["containers"][0]
    assert kept["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert kept["livenessProbe"]["periodSeconds"] == 10
    assert "startupProbe" not in kept
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"},
    }


def test_recreate_has_no_rolling_update(api: LocalApi) -> None:
    document = deployment()
    document["spec"]["strategy"] = {"type": "Recreate"}
    assert api.create(DEPLOYMENTS, document)["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("wrong", [{"strategy": 1}, {"strategy": {"rollingUpdate": []}}])
def test_wrong_types_are_named_not_filled(api: LocalApi, wrong: dict[str, Any]) -> None:
    document = deployment()
    document["spec"] |= wrong
    response = api.call("POST", DEPLOYMENTS, document)
    assert response.status_code == 422
    assert response.json()["details"]["causes"][0]["field"].startswith("spec.strategy")


def test_metadata_that_holds_nothing_is_not_kept(api: LocalApi) -> None:
    empty: dict[str, Any] = {"labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}
    kept = api.create(CONFIG_MAPS, config_map(**empty))["metadata"]
    assert not set(empty) & set(kept)
    refused = api.call("POST", CONFIG_MAPS, config_map("other", labels=[]))
    assert refused.json()["details"]["causes"][0]["field"] == "metadata.labels"


def test_an_image_is_recorded_with_a_warning(api: LocalApi) -> None:
    (warning,) = warnings(api, DEPLOYMENTS, deployment())
    assert warning.startswith("spec.template.spec.containers[0].image: ")
    assert api.get(f"{DEPLOYMENTS}/web")["spec"]["template"]["spec"]["containers"][0]["image"] == "x"


def test_what_is_honoured_is_not_warned_of(api: LocalApi) -> None:
    assert warnings(api, CONFIG_MAPS, {**config_map(), "immutable": True}) == []
    plain = service(sessionAffinity="None", internalTrafficPolicy="Cluster", type="ClusterIP")
    assert warnings(api, SERVICES, plain) == []
    sticky = service("sticky", sessionAffinity="ClientIP", internalTrafficPolicy="Local")
    assert len(warnings(api, SERVICES, sticky)) == 2


def test_an_event_of_a_series_about_two_objects_is_taken(api: LocalApi) -> None:
    event = {
        "metadata": {"name": "web.1"},
        "involvedObject": {"kind": "Pod", "name": "web"},
        "related": {"kind": "Service", "name": "web"},
        "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"},
    }
    assert warnings(api, EVENTS, event) == []


def test_metadata_of_a_template_may_be_a_whole_one(api: LocalApi) -> None:
    document = deployment()
    document["spec"]["template"]["metadata"] |= {"creationTimestamp": None, "finalizers": ["a/b"], "generateName": "x"}
    found = warnings(api, DEPLOYMENTS, document)
    assert not [text for text in found if "unknown field" in text]
    assert [text for text in found if "metadata.finalizers" in text]
