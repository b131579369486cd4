"""The bootstrap is JSON that says who the proxy is and where its configuration comes from."""

import json

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.extensions.resource_monitors.downstream_connections.v3 import downstream_connections_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import json_format

from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.node import Address, GatewayNode, SidecarNode
from skep.xds.bootstrap import bootstrap, node_id

EXTENSIONS = (downstream_connections_pb2, http_protocol_options_pb2)  # parsing knows the types that are imported
NODE = SidecarNode(Namespace("shop"), ServiceName("orders"), InstanceId("orders-1"), Address("127.0.0.1", 15001))


def test_bootstrap_names_the_node_the_token_and_the_server() -> None:
    document = bootstrap(NODE, Address("127.0.0.1", 7401), "t0ken", Address("127.0.0.1", 9901))
    message = bootstrap_pb2.Bootstrap()
    json_format.Parse(json.dumps(document), message)
    assert message.node.id == "sidecar/shop/orders/orders-1"
    assert json_format.MessageToDict(message.node.metadata)["skep"]["service"] == "orders"
    ads = message.dynamic_resources.ads_config
    assert ads.grpc_services[0].initial_metadata[0].value == "Bearer t0ken"
    assert ads.api_type == ads.DELTA_GRPC
    names = [cluster.name for cluster in message.static_resources.clusters]
    assert names == ["control-plane", "invalid"]
    assert message.admin.address.socket_address.port_value == 9901


def test_every_proxy_has_an_id_of_its_own() -> None:
    assert node_id(GatewayNode(Namespace("shop"), "edge")) == "gateway/shop/edge"
    assert node_id(NODE) == "sidecar/shop/orders/orders-1"
