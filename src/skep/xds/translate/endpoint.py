"""Endpoints: IR Endpoints -> ClusterLoadAssignment. Zones become localities, which alone do not change the balance."""

from itertools import groupby

from envoy.config.core.v3 import address_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2 as part_pb
from envoy.config.endpoint.v3 import endpoint_pb2 as pb

from skep.ir.upstream import Endpoint, Endpoints


def translate_endpoints(endpoints: Endpoints) -> pb.ClusterLoadAssignment:
    """Build the assignment of one upstream."""
    out = pb.ClusterLoadAssignment(cluster_name=endpoints.upstream)
    by_zone = sorted(endpoints.endpoints, key=lambda e: (e.zone, e))
    for zone, members in groupby(by_zone, key=lambda e: e.zone):
        locality = out.endpoints.add()
        locality.locality.zone = zone
        locality.lb_endpoints.extend(_endpoint(member) for member in members)
    return out


def _endpoint(endpoint: Endpoint) -> part_pb.LbEndpoint:
    out = part_pb.LbEndpoint()
    out.endpoint.address.CopyFrom(socket_address(endpoint.address, endpoint.port))
    out.load_balancing_weight.value = max(endpoint.weight, 1)
    return out


def socket_address(host: str, port: int) -> address_pb2.Address:
    """Build the address of a TCP socket."""
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=host, port_value=port))
