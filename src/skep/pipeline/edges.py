"""Which ports the gateways' proxies are known to listen on, kept as facts for the status.

In: what proxies took, when they left, what was known before a restart. A proxy that is gone is believed for
`RECONNECT_S`, so that a restart of the control plane changes no status. Pure: the time is a parameter.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from skep.compiler.edge import edge_ports
from skep.compiler.effective import as_kind
from skep.compiler.facts import EdgeAcceptedFact
from skep.compiler.memo import Memo
from skep.ir.edge import EdgePort
from skep.model.names import ObjectRef
from skep.model.resource import Record, Resource
from skep.routing.gateway import Gateway
from skep.xds.snapshot import Encoded
from skep.xds.translate.encode import encode_edge_port

RECONNECT_S = 10.0


class Edges:
    """Writes facts about ports. One instance for all gateways."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._listening: dict[ObjectRef, set[str]] = {}
        self._doubted: dict[ObjectRef, dict[str, float]] = {}

    def presume(self, resources: Iterable[Resource[Record]], now: float) -> None:
        """Believe what the statuses of Gateways say, until their proxies had time to connect again."""
        for resource in resources:
            declared = as_kind(resource, Gateway)
            if declared is not None:
                ports = _programmed(declared)
                for port in self._memo.get(edge_ports, resource.ref):
                    if port.address.port in ports:
                        self._hold(resource.ref, port)
                self.left(resource.ref, now)

    def took(self, gateway: ObjectRef, resources: Iterable[Encoded]) -> None:
        """A gateway's proxy listens on these."""
        ports = {port.name: port for port in self._memo.get(edge_ports, gateway)}
        for resource in resources:
            port = ports.get(resource.name)
            if port is not None and encode_edge_port(port).version == resource.version:
                self._hold(gateway, port)

    def left(self, gateway: ObjectRef, now: float) -> None:
        """No proxy of a gateway is connected any more."""
        until = now + RECONNECT_S
        self._doubted.setdefault(gateway, {}).update(dict.fromkeys(self._listening.get(gateway, ()), until))

    def expire(self, now: float) -> None:
        """Give up believing what no proxy has said again in time."""
        for gateway, doubted in tuple(self._doubted.items()):
            for name in [name for name, until in doubted.items() if until <= now]:
                del doubted[name]
                self._listening[gateway].discard(name)
                self._memo.set(EdgeAcceptedFact(name), None)
            if not doubted:
                del self._doubted[gateway]

    def _hold(self, gateway: ObjectRef, port: EdgePort) -> None:
        self._listening.setdefault(gateway, set()).add(port.name)
        self._doubted.get(gateway, {}).pop(port.name, None)
        self._memo.set(EdgeAcceptedFact(port.name), port)


def _programmed(resource: Resource[Gateway]) -> frozenset[int]:
    """Return the ports of the listeners that the status of this generation says are programmed."""
    listed = resource.status.get("listeners", ())
    good = {item.get("name") for item in listed if isinstance(item, Mapping) and _is_programmed(item, resource)}
    return frozenset(listener.port for listener in resource.body.spec.listeners if listener.name in good)


def _is_programmed(listener: Mapping[str, Any], resource: Resource[Gateway]) -> bool:
    wanted = {"type": "Programmed", "status": "True", "observedGeneration": resource.meta.generation}
    return any(wanted.items() <= dict(item).items() for item in listener.get("conditions", ()))
