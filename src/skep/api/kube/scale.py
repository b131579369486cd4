"""The scale subresource of Deployments: replicas read and written without the rest. Pure."""

from collections.abc import Mapping
from typing import Any

from skep.errors import Invalid
from skep.model.violation import Violation

Document = dict[str, Any]
API_VERSION = "autoscaling/v1"


def scale_of(deployment: Mapping[str, Any]) -> Document:
    """Render a Deployment's scale."""
    metadata, spec = deployment["metadata"], deployment.get("spec", {})
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = spec.get("selector", {}).get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": API_VERSION,
        "metadata": {field: metadata[field] for field in kept if field in metadata},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": {
            "replicas": (deployment.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def scaled(deployment: Document, scale: Any) -> Document:
    """Return the Deployment that a scale asks for; its revision and uid, when given, must be the present ones."""
    if not isinstance(scale, Mapping) or not isinstance(scale.get("spec", {}), Mapping):
        raise Invalid(violations=[Violation("spec", "invalid-type", "must be an object")])
    metadata = scale.get("metadata", {})
    if not isinstance(metadata, Mapping):
        raise Invalid(violations=[Violation("metadata", "invalid-type", "must be an object")])
    if (scale.get("kind", "Scale"), scale.get("apiVersion", API_VERSION)) != ("Scale", API_VERSION):
        raise Invalid(f"kind: the body must be a Scale of {API_VERSION}")
    replicas = scale.get("spec", {}).get("replicas", 0)
    given = {field: metadata[field] for field in ("name", "namespace", "uid", "resourceVersion") if field in metadata}
    return {
        **deployment,
        "metadata": {**deployment["metadata"], **given},
        "spec": {**deployment["spec"], "replicas": replicas},
    }
