"""The kind Instance of skep.dev/v1alpha1: how a registered instance looks as an object, and how it is read back.

In: instances and stored documents; out: the other one. Users only read this kind; the registry writes it. Pure.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, StrictInt

from skep.model import instance as model
from skep.model.resource import Record
from skep.model.violation import Violation

RESOURCE = "instances.skep.dev"
API_VERSION = "skep.dev/v1alpha1"

_HEALTHS = {str(health): health for health in model.Health}


class InstanceSpec(Record):
    """What was registered."""

    service: str = ""
    """The service it registered under."""
    id: str = ""
    """Its name within the service."""
    address: str = ""
    """An IP address that callers can reach."""
    port: StrictInt = 0
    """Where callers connect."""
    target_port: StrictInt = 0
    """The port the application itself listens on; 0 when the same."""
    protocol: str = "http"
    """http, http2, grpc or tcp."""
    weight: StrictInt = 100
    """Share of calls against its peers, 1 to 1000."""
    zone: str = ""
    """Where it runs."""
    lease_seconds: float = 15.0
    """Removed when not heard of for this long."""
    source: str = ""
    """Which registry or agent registered it."""


class Instance(Record):
    """The body of the kind Instance: read-only for users, written by the registry."""

    spec: InstanceSpec = Field(default_factory=InstanceSpec)


def validate_instance(body: Instance) -> list[Violation]:
    """Return what is wrong with a stored Instance: nothing, because the registry wrote it."""
    del body
    return []


def object_name(key: model.InstanceKey) -> str:
    """Return the name of the object that stands for an instance: `<service>.<id>`, unique in its namespace."""
    return f"{key.service}.{key.id}"


def spec_document(instance: model.Instance) -> dict[str, Any]:
    """Render the registration as the object's spec."""
    return {
        "service": instance.service,
        "id": instance.id,
        "address": instance.address,
        "port": instance.port,
        "targetPort": instance.target_port,
        "protocol": instance.protocol,
        "weight": instance.weight,
        "zone": instance.zone,
        "leaseSeconds": instance.lease_s,
        "source": instance.source,
    }


def instance_from_document(document: Mapping[str, Any]) -> model.Instance:
    """Read an instance back from the object the registry stored."""
    metadata, spec = document["metadata"], document["spec"]
    return model.Instance(
        namespace=metadata["namespace"],
        service=spec["service"],
        id=spec["id"],
        address=spec["address"],
        port=spec["port"],
        target_port=spec.get("targetPort", 0),
        protocol=spec.get("protocol", "http"),
        weight=spec.get("weight", 100),
        zone=spec.get("zone", ""),
        labels=metadata.get("labels") or {},
        health=_HEALTHS.get(document.get("status", {}).get("health", ""), model.Health.PASSING),
        lease_s=float(spec.get("leaseSeconds", 15.0)),
        source=spec.get("source", ""),
    )


def object_document(instance: model.Instance) -> dict[str, Any]:
    """Render an instance as its object, without what the store's rules add: uid, age and generation."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Instance",
        "metadata": {
            "name": object_name(instance.key),
            "namespace": instance.namespace,
            "labels": dict(instance.labels),
        },
        "spec": spec_document(instance),
        "status": {"health": str(instance.health)},
    }
