"""Which Envoy processes stand behind one proxy, through crashes and hot restarts. Pure: a record in, the next record out.

Envoy hands its sockets from epoch to epoch under one base id. A crash ends that line: the next process starts a new one.
"""

import hashlib
import re

import msgspec

from skep.model.names import Namespace
from skep.model.node import Address, Node, SidecarNode

_ODD = re.compile(r"[^A-Za-z0-9._-]")


class Launch(msgspec.Struct, frozen=True):
    """One Envoy process."""

    process: str
    """Its name in the runtime."""
    epoch: int
    base_id: int | None = None
    """Chosen by Envoy at epoch 0; None until it is known."""


class ProxyRecord(msgspec.Struct, frozen=True):
    """What must be remembered of a proxy to find it again after the agent died."""

    name: str
    """Unique on the host: `sidecar.<namespace>.<service>.<instance>`, `gateway.<namespace>.<name>`."""
    node: Node
    admin: Address
    launches: int = 0
    """How many processes it had: numbers their names."""
    current: Launch | None = None
    next: Launch | None = None
    """Started to take over from `current`, not ready yet."""
    draining: tuple[Launch, ...] = ()
    """Gave their sockets away and leave by themselves."""

    @property
    def namespace(self) -> Namespace:
        """The tenant it belongs to."""
        return self.node.namespace

    @property
    def title(self) -> str:
        """How people name it: `orders/orders-1` for a sidecar, `gateway/edge` for a gateway."""
        node = self.node
        return f"{node.service}/{node.instance}" if isinstance(node, SidecarNode) else f"gateway/{node.name}"


def proxy_name(node: Node) -> str:
    """Name a node's proxy so that the name can be a file's; different nodes get different names."""
    if isinstance(node, SidecarNode):
        exact = f"sidecar.{node.namespace}.{node.service}.{node.instance}"
    else:
        exact = f"gateway.{node.namespace}.{node.name}"
    plain = _ODD.sub("_", exact)
    if plain == exact and len(exact) <= 160:
        return exact
    return f"{plain[:140]}-{hashlib.sha256(exact.encode()).hexdigest()[:12]}"


def start_fresh(record: ProxyRecord) -> ProxyRecord:
    """Begin a new line of epochs; processes that still drain are left to finish."""
    launches = record.launches + 1
    launch = Launch(f"envoy.{record.name}.{launches}", 0)
    return msgspec.structs.replace(record, launches=launches, current=launch, next=None)


def start_next(record: ProxyRecord) -> ProxyRecord:
    """Begin the next epoch beside the current process; only for a record whose current base id is known."""
    assert record.current is not None
    assert record.current.base_id is not None
    launches = record.launches + 1
    launch = Launch(f"envoy.{record.name}.{launches}", record.current.epoch + 1, record.current.base_id)
    return msgspec.structs.replace(record, launches=launches, next=launch)


def learn_base_id(record: ProxyRecord, base_id: int) -> ProxyRecord:
    """Note the base id that the current process chose."""
    assert record.current is not None
    return msgspec.structs.replace(record, current=msgspec.structs.replace(record.current, base_id=base_id))


def take_over(record: ProxyRecord) -> ProxyRecord:
    """The next epoch is ready: it is the current one now, and the old one drains."""
    assert record.current is not None
    assert record.next is not None
    draining = (*record.draining, record.current)
    return msgspec.structs.replace(record, current=record.next, next=None, draining=draining)


def give_up_next(record: ProxyRecord) -> ProxyRecord:
    """The next epoch did not get ready: the current process stays.

    Its line of epochs ends here, because Envoy's shared memory still says that a successor is starting.
    """
    assert record.current is not None
    current = msgspec.structs.replace(record.current, base_id=None)
    return msgspec.structs.replace(record, current=current, next=None)


def parents(record: ProxyRecord) -> tuple[Launch, ...]:
    """Return the draining processes of the current one's line: it tells them when to leave."""
    current = record.current
    if current is None or current.base_id is None:
        return ()
    return tuple(launch for launch in record.draining if launch.base_id == current.base_id)


def orphans(record: ProxyRecord) -> tuple[Launch, ...]:
    """Return the draining processes whose successor died: nobody tells them to leave any more."""
    return tuple(launch for launch in record.draining if launch not in parents(record))


def gone(record: ProxyRecord, process: str) -> ProxyRecord:
    """A draining process has left."""
    draining = tuple(launch for launch in record.draining if launch.process != process)
    return msgspec.structs.replace(record, draining=draining)


def processes(record: ProxyRecord) -> tuple[str, ...]:
    """Name every process that may still run."""
    launches = (record.current, record.next, *record.draining)
    return tuple(launch.process for launch in launches if launch is not None)
