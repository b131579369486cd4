"""Every `xds.yaml` is taken by a real Envoy: one, to which the cases are served one after the other."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from skep.ir.edge import EdgePort, Server
from skep.ir.route import Origin
from skep.model.names import Namespace, ObjectRef
from skep.model.node import Address, GatewayNode
from skep.xds.runner import XdsServer
from skep.xds.snapshot import WILDCARD, Demand, Encoded
from skep.xds.translate import encode, names
from skep.xds.translate.listener import translate_edge_port
from skep.xds.translate.wire import any_bytes, digest, field, serialize, type_url
from tests.support.envoys import envoy, free_port, until
from tests.support.goldens import case_name, cases
from tests.support.tls import make_certificate
from tests.support.xds_goldens import messages
from tests.support.xds_source import MemorySource

ORIGIN = Origin(ObjectRef("", "Service", "shop", "a"), 1)


class GoldenSource(MemorySource):
    """Also has a certificate for every name."""

    def answer(self, demand: Demand) -> tuple[Encoded, ...]:
        if demand.type_url == names.SDS:
            made = make_certificate("any.example", names.parse_secret(demand.name) or "")
            return (encode.encode_certificate(made),)
        return super().answer(demand)


def encoded(name: str, message: Any) -> Encoded:
    body = serialize(message)
    resource = field(2, any_bytes(type_url(message), body))
    return Encoded(name, digest(body), field(1, digest(body).encode()) + resource + field(3, name.encode()))


def of_case(prefix: str, case: Path) -> tuple[list[Encoded], list[Encoded], list[Encoded], list[Encoded]]:
    """Return the listeners, tables, clusters and endpoints of a case, on free ports and under names of its own."""
    found = messages(case)
    tables = found["routes"]
    listeners = []
    for host in found["virtual_hosts"]:
        tables.append(route_pb2.RouteConfiguration(name=f"host/{host.name}", virtual_hosts=[host]))
        port = EdgePort(f"host/{host.name}", Address("127.0.0.1", 1), (Server(f"host/{host.name}"),), ORIGIN)
        listeners.append(translate_edge_port(port))
    for listener in (*found["listeners"], *listeners):
        listener.name = f"{prefix}{listener.name}"
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = free_port()
        for chain in listener.filter_chains:
            point_at(prefix, chain)
    for table in tables:
        table.name = f"{prefix}{table.name}"
    every: list[listener_pb2.Listener] = [*found["listeners"], *listeners]
    return (
        [encoded(one.name, one) for one in every],
        [encoded(one.name, one) for one in tables],
        [encoded(one.name, one) for one in found["clusters"]],
        [encoded(one.cluster_name, one) for one in found["endpoints"]],
    )


def point_at(prefix: str, chain: Any) -> None:
    manager = hcm.HttpConnectionManager()
    assert chain.filters[0].typed_config.Unpack(manager)
    manager.rds.route_config_name = f"{prefix}{manager.rds.route_config_name}"
    chain.filters[0].typed_config.Pack(manager)


@pytest.mark.timeout(120)
def test_envoy_takes_every_golden(tmp_path: Path) -> None:
    async def run() -> None:
        source = GoldenSource()
        server = XdsServer(source, lambda _: True, Address("127.0.0.1", 0))
        xds = await server.start()
        source.publish = server.publish
        try:
            node = GatewayNode(Namespace("shop"), "edge")
            async with envoy(node, xds, tmp_path, listeners=0):
                await until(server.connected)
                for number, case in enumerate(cases()):
                    await serve(source, f"{number}/", case)
        finally:
            await server.stop()

    async def serve(source: MemorySource, prefix: str, case: Path) -> None:
        listeners, tables, clusters, endpoints = of_case(prefix, case)
        for one in endpoints:
            source.put(names.EDS, one.name, one)
        for one in tables:
            source.put(names.RDS, one.name, one)
        source.put(names.CDS, WILDCARD, *clusters)
        source.put(names.LDS, WILDCARD, *listeners)
        wanted = {one.name for one in (*listeners, *tables)}

        def taken() -> bool:
            assert not source.rejections, (case_name(case), source.rejections)
            return wanted <= {one.name for _, resources in source.taken for one in resources}

        await until(taken)

    assert cases()
    asyncio.run(run())
