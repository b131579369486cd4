"""Runs the pods that are placed on this host, and reports how they are.

In: the pods of this node as the control plane knows them; out: replicas, statuses, events. While the control plane is away
the replicas are kept running; after the agent's own death the next agent takes them over.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from skep.agent.ports import LOOPBACK, Ports
from skep.agent.replica import Replica, SavedReplica, Surroundings, output_folder
from skep.agent.state import StateFolder
from skep.clock import rfc3339
from skep.errors import NotFound, SkepError, Unavailable
from skep.model.node import Address
from skep.supervision import supervise
from skep.workloads.documents import AGENT, event_document
from skep.workloads.environment import SourceRef
from skep.workloads.podstatus import ReplicaView, pod_status
from skep.workloads.spec import Pod, validate_pod

log = logging.getLogger(__name__)

Document = dict[str, Any]
REPORT_RETRY_S = 1.0
EVENTS_AT_MOST = 500
"""Kept while the control plane is away; later ones are dropped."""


class PodSource(Protocol):
    """The control plane, as pods need it. All but `follow` raise `Unavailable` when it does not answer in time."""

    def follow(self) -> AsyncIterator[Sequence[Document]]:
        """Yield all pods of this node at once and after each change; waits while the control plane is away."""
        ...

    async def read(self, namespace: str, ref: SourceRef) -> Document | None:
        """Return a ConfigMap or Secret; None when it does not exist."""
        ...

    async def report(self, namespace: str, name: str, status: Document) -> None:
        """Replace a pod's status; `NotFound` when it is gone."""
        ...

    async def record(self, event: Document) -> None:
        """Keep an Event."""
        ...


class Pods:
    """The replicas of this host. Recover the runtime and the sidecars first."""

    def __init__(
        self,
        source: PodSource,
        around: Surroundings,
        records: StateFolder[SavedReplica],
        ports: Ports,
    ) -> None:
        self._source = source
        self._around = around
        self._records = records
        self._ports = ports
        self._replicas: dict[str, Replica] = {}
        self._statuses: dict[str, Document] = {}
        self._unreported: dict[str, Replica] = {}
        self._events: list[Document] = []
        self._news = asyncio.Event()
        self._closing = False
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Take over what is saved, then follow the control plane until cancelled. Cancelling leaves processes running."""
        clock = self._around.clock
        async with asyncio.TaskGroup() as group:
            self._group = group
            for saved in self._records.load().values():
                self._adopt(saved)
            group.create_task(supervise("pods", self._follow, clock))
            group.create_task(supervise("pod reports", self._report, clock))

    async def shutdown(self) -> None:
        """Stop every replica as if its pod was deleted, and wait for the end; `run` must still run."""
        self._closing = True
        replicas = list(self._replicas.values())
        for replica in replicas:
            replica.stopping.set()
        for replica in replicas:
            await replica.ended.wait()

    def replicas(self) -> Sequence[Replica]:
        """Return the replicas, by namespace and name."""
        return sorted(self._replicas.values(), key=lambda one: (one.namespace, one.name))

    def output_of(self, namespace: str, pod: str, *, previous: bool = False) -> tuple[Path, Path]:
        """Return the stdout and stderr files of a pod's present or previous run; `NotFound` when there is none.

        A file that grew too long continues in `<file>.1`, the older part.
        """
        for replica in self._replicas.values():
            if (replica.namespace, replica.name) == (namespace, pod):
                run = replica.saved.run - previous
                folder = output_folder(self._around.output, namespace, pod, run)
                if run < 0 or (previous and not folder.is_dir()):
                    raise NotFound(f"pod {namespace}/{pod} has no previous run")
                if not folder.is_dir():  # between two runs: the last one is what there is to read
                    folder = output_folder(self._around.output, namespace, pod, max(0, run - 1))
                return folder / "stdout", folder / "stderr"
        raise NotFound(f"no pod {namespace}/{pod} on this host")

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        async for documents in self._source.follow():
            self.apply(documents)

    def apply(self, documents: Sequence[Document]) -> None:
        """Start what is new, stop what is gone."""
        if self._closing:
            return
        wanted = {document["metadata"]["uid"]: document for document in documents}
        for uid, replica in self._replicas.items():
            if uid not in wanted:
                replica.stopping.set()
        for uid, document in wanted.items():
            if uid not in self._replicas:
                self._take(document)

    def _take(self, document: Document) -> None:
        name = f"{document['metadata']['namespace']}/{document['metadata']['name']}"
        try:
            violations = validate_pod(Pod.model_validate({"spec": document.get("spec")}))
        except ValidationError as error:
            log.warning("pod %s cannot be read: %s", name, error)
            return
        if violations:
            log.warning("pod %s cannot be run: %s", name, "; ".join(str(one) for one in violations))
            return
        try:
            port = self._ports.pick_unheld().port
        except Unavailable as error:
            log.warning("pod %s waits: %s", name, error.message)
            return
        view = ReplicaView(accepted_at=rfc3339(self._around.clock.now()))
        saved = SavedReplica(document=document, port=port, view=view)
        self._changed(self._adopt(saved))

    def _adopt(self, saved: SavedReplica) -> Replica:
        assert self._group is not None
        replica = Replica(self._around, saved, self._changed, self._tell)
        self._ports.promise(Address(LOOPBACK, saved.port))
        self._replicas[replica.uid] = replica
        self._statuses[replica.uid] = saved.document.get("status") or {}
        self._unreported[replica.uid] = replica
        self._group.create_task(self._tend(replica))
        return replica

    async def _tend(self, replica: Replica) -> None:
        async with asyncio.TaskGroup() as group:
            life = group.create_task(
                supervise(f"pod {replica.namespace}/{replica.name}", lambda: _live(replica), self._around.clock)
            )
            await replica.ended.wait()
            life.cancel()
        self._ports.release(Address(LOOPBACK, replica.saved.port))
        self._records.remove(replica.uid)
        self._unreported.pop(replica.uid, None)
        self._statuses.pop(replica.uid, None)
        self._replicas.pop(replica.uid, None)

    def _changed(self, replica: Replica) -> None:
        if self._replicas.get(replica.uid) is not replica:
            return
        try:
            self._records.save(replica.uid, replica.saved)
        except Unavailable as error:
            log.warning("pod %s/%s: %s", replica.namespace, replica.name, error.message)
        self._unreported[replica.uid] = replica
        self._news.set()

    def _tell(self, replica: Replica, reason: str, message: str, warning: bool) -> None:
        if len(self._events) < EVENTS_AT_MOST:
            now = rfc3339(self._around.clock.now())
            about = replica.saved.document
            self._events.append(event_document(about, reason, message, now, warning=warning, teller=AGENT))
        self._news.set()

    async def _report(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._report_all()
            except Unavailable:
                self._news.set()
                await asyncio.sleep(REPORT_RETRY_S)

    async def _report_all(self) -> None:
        while self._unreported:
            uid, replica = next(iter(self._unreported.items()))
            now = rfc3339(self._around.clock.now())
            last = self._statuses.get(uid, {})
            status = pod_status(replica.body.spec, replica.saved.view, last, now)
            del self._unreported[uid]
            if status == last:
                continue
            try:
                await self._source.report(replica.namespace, replica.name, status)
            except Unavailable:
                self._unreported.setdefault(uid, replica)
                raise
            except NotFound:
                continue  # it is being deleted; follow() says so soon
            except SkepError as error:
                log.warning("status of pod %s/%s: %s", replica.namespace, replica.name, error.message)
                continue
            if uid in self._replicas:
                self._statuses[uid] = status
        while self._events:
            try:
                await self._source.record(self._events[0])
            except Unavailable:
                raise
            except SkepError as error:
                log.info("an event was not kept: %s", error.message)
            self._events.pop(0)


async def _live(replica: Replica) -> None:
    await replica.run()
    await asyncio.Event().wait()  # its end is the end: a supervisor would start it again


def records_in(folder: Path) -> StateFolder[SavedReplica]:
    """Return the folder where replicas are remembered."""
    return StateFolder(folder, SavedReplica)
