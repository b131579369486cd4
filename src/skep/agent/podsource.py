"""The control plane as pods need it, over the HTTP API. In: a client, this host's name; out: pods, documents; takes statuses."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from skep.clients.api import ApiClient, resource_path
from skep.errors import Conflict, NotFound
from skep.workloads.documents import event_again
from skep.workloads.environment import SourceRef

Document = dict[str, Any]


class ApiPodSource:
    """A `PodSource` of one node."""

    def __init__(self, api: ApiClient, node: str) -> None:
        self._api = api
        self._node = node

    async def follow(self) -> AsyncIterator[Sequence[Document]]:
        """Yield this node's pods at once and after each change that adds or removes one."""
        before: frozenset[str] | None = None
        async for pods in self._api.follow(resource_path("v1", "pods"), fieldSelector=f"spec.nodeName={self._node}"):
            mine = [pod for pod in pods.values() if (pod.get("spec") or {}).get("nodeName") == self._node]
            uids = frozenset(pod["metadata"]["uid"] for pod in mine)
            if uids != before:  # our own status reports come back here as well
                before = uids
                yield mine

    async def read(self, namespace: str, ref: SourceRef) -> Document | None:
        """Return a ConfigMap or Secret; None when it does not exist."""
        try:
            return await self._api.get(resource_path("v1", ref.resource, namespace, ref.name))
        except NotFound:
            return None

    async def report(self, namespace: str, name: str, status: Document) -> None:
        """Replace a pod's status."""
        await self._api.patch(resource_path("v1", "pods", namespace, name, "status"), {"status": status})

    async def record(self, event: Document) -> None:
        """Keep an Event; one that happened before is counted."""
        metadata = event["metadata"]
        try:
            await self._api.create(resource_path("v1", "events", metadata["namespace"]), event)
        except Conflict:
            path = resource_path("v1", "events", metadata["namespace"], metadata["name"])
            present = await self._api.get(path)
            await self._api.update(path, event_again(present, event["lastTimestamp"]))
