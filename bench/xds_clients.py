"""Many light delta-ADS clients in one process: what `bench.propagation` runs beside the server.

Each client has a connection of its own, subscribes to the cluster and the endpoints of a service, acknowledges what comes,
and notes when. Prints one line of JSON when all are subscribed (`ready`), and one whenever a version of the endpoints has
reached the last client (`version`, `last_s` on the machine's monotonic clock, `strangers`: what the other service's client got).
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from typing import Any, cast

import grpc
import msgspec
import uvloop
from envoy.service.discovery.v3 import discovery_pb2

from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.node import Address, SidecarNode
from skep.xds.translate.names import CDS, EDS

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))


class Tally:
    """How many clients have which version."""

    def __init__(self, clients: int) -> None:
        self._clients = clients
        self._held: Counter[str] = Counter()
        self._subscribed = 0
        self.strangers = 0

    def subscribed(self) -> None:
        """One more client has its first answer."""
        self._subscribed += 1
        if self._subscribed == self._clients + 1:  # and the stranger
            print(json.dumps({"ready": True}), flush=True)

    def got(self, version: str) -> None:
        """One more client has this version."""
        self._held[version] += 1
        if self._held[version] == self._clients:
            line = {"version": version, "last_s": time.monotonic(), "strangers": self.strangers}
            print(json.dumps(line), flush=True)


class Client:
    """One proxy's stream."""

    def __init__(self, arguments: argparse.Namespace, number: int, upstream: str, tally: Tally) -> None:
        self._target = arguments.xds
        self._metadata = (("authorization", f"Bearer {arguments.token}"),)
        namespace, _, _ = upstream.partition("/")
        self._upstream = upstream
        self._node = SidecarNode(
            Namespace(namespace), ServiceName("caller"), InstanceId(f"caller-{number}"), Address("127.0.0.1", 15001)
        )
        self._tally = tally
        self._is_stranger = upstream != arguments.upstream

    async def run(self) -> None:
        """Subscribe, and acknowledge until told to stop."""
        async with grpc.aio.insecure_channel(self._target, options=OPTIONS) as channel:
            # The stubs leave out that serialisers and the iterator are optional.
            stream = cast(Any, channel).stream_stream(METHOD)(metadata=self._metadata)
            for url in (CDS, EDS):
                await stream.write(self._subscription(url).SerializeToString())
            first = True
            while (data := await stream.read()) is not cast(Any, grpc.aio).EOF:
                response = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
                if response.type_url == EDS:
                    self._note(first, response)
                    first = False
                reply = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
                await stream.write(reply.SerializeToString())
            raise RuntimeError("the server ended a stream")

    def _note(self, first: bool, response: discovery_pb2.DeltaDiscoveryResponse) -> None:
        if first:
            self._tally.subscribed()
        elif self._is_stranger:
            self._tally.strangers += 1
        else:
            self._tally.got(response.resources[0].version)

    def _subscription(self, url: str) -> discovery_pb2.DeltaDiscoveryRequest:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=[self._upstream])
        if url == CDS:
            request.node.metadata["skep"] = msgspec.to_builtins(self._node)
        return request


async def main(arguments: argparse.Namespace) -> None:
    """Run all clients, and one of another service, until the process is stopped."""
    tally = Tally(arguments.clients)
    async with asyncio.TaskGroup() as group:
        for number in range(arguments.clients):
            group.create_task(Client(arguments, number, arguments.upstream, tally).run())
        group.create_task(Client(arguments, arguments.clients, arguments.stranger, tally).run())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--xds", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--stranger", required=True)
    uvloop.run(main(parser.parse_args()))
