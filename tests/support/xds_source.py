"""A source of answers held in memory, which a test changes as it likes."""

from collections.abc import Callable, Iterable

from skep.ir.edge import Certificate, EdgePort, Routes
from skep.ir.route import VirtualHost
from skep.ir.upstream import Endpoints, Upstream
from skep.model.names import Namespace
from skep.model.node import SidecarNode
from skep.xds.snapshot import WILDCARD, Demand, Encoded
from skep.xds.translate import encode, names


class MemorySource:
    """Answers the same to every viewer, but for sidecars' own listeners and clusters, which follow from the node."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[Encoded, ...]] = {}
        self.watched: list[Demand] = []
        self.history: list[Demand] = []
        self.taken: list[tuple[Demand, tuple[Encoded, ...]]] = []
        self.rejections: list[tuple[Demand, tuple[Encoded, ...], str]] = []
        self.publish: Callable[[Iterable[Demand]], None] = lambda _: None

    def watch(self, demand: Demand) -> tuple[Encoded, ...]:
        self.watched.append(demand)
        self.history.append(demand)
        return self.answer(demand)

    def unwatch(self, demand: Demand) -> None:
        self.watched.remove(demand)

    def answer(self, demand: Demand) -> tuple[Encoded, ...]:
        known = self.answers.get((demand.type_url, demand.name))
        if known is None and demand.name == WILDCARD and isinstance(demand.viewer, SidecarNode):
            if demand.type_url == names.LDS:
                return encode.encode_sidecar_listeners(demand.viewer)
            if demand.type_url == names.CDS:
                return encode.encode_sidecar_clusters(demand.viewer)
        return known or ()

    def accepted(self, demand: Demand, resources: tuple[Encoded, ...]) -> None:
        self.taken.append((demand, resources))

    def refused(self, demand: Demand, resources: tuple[Encoded, ...], message: str) -> None:
        self.rejections.append((demand, resources, message))

    # What a test says.

    def put(self, type_url: str, name: str, *answer: Encoded) -> None:
        """Set an answer and publish it to whoever asks for it."""
        self.answers[type_url, name] = answer
        self.publish([one for one in self.watched if (one.type_url, one.name) == (type_url, name)])

    def open_namespace(self, namespace: str) -> None:
        self.put(
            names.RDS, names.outbound_table(Namespace(namespace)), encode.encode_outbound_table(Namespace(namespace))
        )

    def host(self, namespace: str, authority: str, host: VirtualHost) -> None:
        encoded = encode.encode_outbound_host(Namespace(namespace), authority, host)
        self.put(names.VHDS, encoded.name, encoded)

    def upstream(self, upstream: Upstream, endpoints: Endpoints | None = None) -> None:
        if endpoints is not None:
            self.endpoints(endpoints)
        self.put(names.CDS, upstream.name, encode.encode_upstream(upstream))

    def endpoints(self, endpoints: Endpoints) -> None:
        self.put(names.EDS, endpoints.upstream, encode.encode_endpoints(endpoints))

    def gateway(self, ports: Iterable[EdgePort], tables: Iterable[Routes], upstreams: Iterable[Upstream]) -> None:
        for table in tables:
            self.put(names.RDS, table.name, encode.encode_routes(table))
        self.put(names.CDS, WILDCARD, *(encode.encode_upstream(upstream) for upstream in upstreams))
        self.put(names.LDS, WILDCARD, *(encode.encode_edge_port(port) for port in ports))

    def certificate(self, certificate: Certificate) -> None:
        encoded = encode.encode_certificate(certificate)
        self.put(names.SDS, encoded.name, encoded)
