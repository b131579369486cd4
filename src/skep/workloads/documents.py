"""Pods and Events as documents, and what the plan needs read from them. In and out: plain dictionaries, records. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

HASH_LABEL = "pod-template-hash"
"""Carries the template a pod was made from, as on Kubernetes."""
DEPLOYMENTS = "deployments.apps"
PODS = "pods"
EVENTS = "events"
CONTROLLER, AGENT = "skep-workloads", "skep-agent"
"""Who tells of an Event."""


class PodFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a pod from its document."""

    name: str
    owner: str
    """Name of its Deployment; empty when nobody owns it."""
    owner_uid: str
    template_hash: str
    created: tuple[str, int]
    node: str
    ready_since: datetime | None
    """None while it is not ready."""


def pod_document(deployment: Mapping[str, Any], name: str, node: str, template_hash: str, now: str) -> dict[str, Any]:
    """Return a new pod of a Deployment's template, placed on a node."""
    template = deployment["spec"]["template"]
    metadata = deployment["metadata"]
    written = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {**(written.get("labels") or {}), HASH_LABEL: template_hash},
            "annotations": dict(written.get("annotations") or {}),
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {**template["spec"], "nodeName": node},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": now}],
        },
    }


def pod_facts(document: Mapping[str, Any], revision: int) -> PodFacts:
    """Read what the plan needs from a pod's document."""
    metadata = document["metadata"]
    owner = owner_of(document)
    conditions = (document.get("status") or {}).get("conditions") or ()
    ready: Mapping[str, Any] = next((one for one in conditions if one.get("type") == "Ready"), {})
    return PodFacts(
        name=metadata["name"],
        owner=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        template_hash=(metadata.get("labels") or {}).get(HASH_LABEL, ""),
        created=(metadata.get("creationTimestamp", ""), revision),
        node=(document.get("spec") or {}).get("nodeName", ""),
        ready_since=_moment(ready.get("lastTransitionTime", "")) if ready.get("status") == "True" else None,
    )


def owner_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reference to the Deployment that owns a pod; empty when there is none."""
    for reference in document["metadata"].get("ownerReferences") or ():
        if reference.get("kind") == "Deployment" and reference.get("controller"):
            found: Mapping[str, Any] = reference
            return found
    return {}


def event_document(
    about: Mapping[str, Any], reason: str, message: str, now: str, *, warning: bool = False, teller: str = CONTROLLER
) -> dict[str, Any]:
    """Return an Event about an object; the same reason and message give the same name, so that repeats can be counted."""
    metadata = about["metadata"]
    digest = hashlib.sha256(f"{metadata.get('uid')}/{reason}/{message}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata.get("uid", ""),
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message,
        "source": {"component": teller},
        "reportingComponent": teller,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def event_again(event: Mapping[str, Any], now: str) -> dict[str, Any]:
    """Return an Event that happened once more."""
    return {**event, "lastTimestamp": now, "count": event.get("count", 1) + 1}


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
