"""OpenAPI and discovery say what is served, so that kubectl can rely on them."""

import json
from typing import Any

import pytest

from skep.api.kube import discovery
from skep.api.kube.openapi import OpenApi
from skep.api.kube.schemas import kind_schemas
from skep.kinds import KINDS, Kind

SERVED = [(kind, version) for kind in KINDS for version in kind.versions]
OPEN_API = OpenApi("1")
IDS = [f"{kind.kind}-{version}" for kind, version in SERVED]


def document(kind: Kind, version: str) -> dict[str, Any]:
    path = f"apis/{kind.group}/{version}" if kind.group else f"api/{version}"
    encoded = OPEN_API.v3(path)
    assert encoded is not None
    read: dict[str, Any] = json.loads(encoded)
    return read


@pytest.mark.parametrize(("kind", "version"), SERVED, ids=IDS)
def test_every_kind_has_a_schema_whose_references_resolve(kind: Kind, version: str) -> None:
    described = document(kind, version)
    schemas = described["components"]["schemas"]
    gvk = {"group": kind.group, "version": version, "kind": kind.kind}
    (root,) = (one for one in schemas.values() if gvk in one.get("x-kubernetes-group-version-kind", []))
    assert {"apiVersion", "kind", "metadata", "status"} <= root["properties"].keys()

    def check(value: Any) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref", "")
            assert not reference or reference.removeprefix("#/components/schemas/") in schemas
            assert value.get("type") != "null"
            for inner in value.values():
                check(inner)
        elif isinstance(value, list):
            for inner in value:
                check(inner)

    check(schemas)


@pytest.mark.parametrize(("kind", "version"), SERVED, ids=IDS)
def test_patches_that_are_taken_are_declared(kind: Kind, version: str) -> None:
    paths = document(kind, version)["paths"]
    single = [path for path in paths if path.endswith(f"/{kind.plural}/{{name}}")]
    operations = paths[single[0]]
    assert ("patch" in operations) is not kind.read_only
    if "patch" in operations:
        media = operations["patch"]["requestBody"]["content"]
        assert ("application/strategic-merge-patch+json" in media) is kind.strategic
        assert "fieldValidation" in [one["name"] for one in operations["patch"]["parameters"]]


def test_merge_keys_stand_in_the_schemas() -> None:
    (deployment,) = (kind for kind in KINDS if kind.kind == "Deployment")
    marked = {
        name
        for schema in kind_schemas(deployment, "v1").values()
        for name, inner in schema.get("properties", {}).items()
        if inner.get("x-kubernetes-patch-merge-key")
    }
    assert {"containers", "env", "ports"} <= marked


def test_fields_are_described_by_the_text_beneath_them() -> None:
    (instance,) = (kind for kind in KINDS if kind.kind == "Instance")
    schemas = kind_schemas(instance, "v1alpha1")
    spec = schemas["dev.skep.v1alpha1.Instance.InstanceSpec"]
    assert spec["properties"]["service"]["description"] == "The service it registered under."


def test_index_changes_with_what_it_names() -> None:
    index = json.loads(OPEN_API.index())["paths"]
    other = json.loads(OpenApi("2").index())["paths"]
    assert index.keys() == other.keys()
    assert "api/v1" in index
    assert all(index[path] != other[path] for path in index)
    assert json.loads(OPEN_API.v2())["swagger"] == "2.0"


def test_discovery_lists_every_kind_in_both_forms() -> None:
    for kind, version in SERVED:
        listed = discovery.resource_list(kind.group, version)
        assert listed is not None
        names = {resource["name"]: resource for resource in listed["resources"]}
        assert names[kind.plural]["kind"] == kind.kind
        assert ("create" in names[kind.plural]["verbs"]) is not kind.read_only
        assert (f"{kind.plural}/status" in names) is kind.status
        groups = discovery.aggregated(core=not kind.group)["items"]
        (versions,) = (group["versions"] for group in groups if group["metadata"].get("name", "") == kind.group)
        (found,) = (one for one in versions if one["version"] == version)
        assert kind.plural in [resource["resource"] for resource in found["resources"]]
    assert discovery.resource_list("apps", "v9") is None
    assert discovery.group("nope") is None


def test_stable_version_is_preferred() -> None:
    group = discovery.group("gateway.networking.k8s.io")
    assert group is not None
    assert group["preferredVersion"]["version"] == "v1"
