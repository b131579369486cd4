"""Many light delta-ADS clients in one process: what `bench.propagation` runs beside the server.

Each has a connection of its own, subscribes to the cluster and the endpoints of a service, acknowledges what comes, and
notes when. They speak just enough HTTP/2 and gRPC by hand: the measure is the server, on a machine that both share.
Prints a line of JSON when all are subscribed (`ready`), and one whenever a version of the endpoints has reached the last
client (`version`, `last_s` on the machine's monotonic clock, `strangers`: what the other service's client got).
"""

import argparse
import asyncio
import json
import struct
import sys
import time
from collections import Counter
from typing import cast

import msgspec
import uvloop
from envoy.service.discovery.v3 import discovery_pb2

from skep.model.names import InstanceId, Namespace, ServiceName
from skep.model.node import Address, SidecarNode
from skep.xds.translate.names import CDS, EDS

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
WIDE_WINDOW = 1 << 30
"""So wide that it is never used up: no window is ever updated."""


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


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Frame a payload as HTTP/2 does."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name: str, value: str) -> bytes:
    """Encode a header without compression (HPACK, never indexed)."""
    return b"".join((b"\x10", *(_text(part.encode()) for part in (name, value))))


def _text(part: bytes) -> bytes:
    if len(part) < 127:
        return bytes((len(part),)) + part
    return bytes((127, len(part) - 127)) + part


def message(request: discovery_pb2.DeltaDiscoveryRequest) -> bytes:
    """Frame a request as gRPC does, on stream 1."""
    body: bytes = request.SerializeToString()
    return frame(DATA, 0, 1, b"\x00" + struct.pack(">I", len(body)) + body)


class Client(asyncio.Protocol):
    """One proxy's stream."""

    def __init__(self, token: str, node: SidecarNode, upstream: str, tally: Tally, *, is_stranger: bool) -> None:
        self._token = token
        self._node = node
        self._upstream = upstream
        self._tally = tally
        self._is_stranger = is_stranger
        self._is_subscribed = False
        self._bytes = bytearray()
        self._body = bytearray()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the stream and subscribe."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are none of asyncio's classes
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": METHOD,
            ":authority": "control-plane",
            "te": "trailers",
            "content-type": "application/grpc",
            "authorization": f"Bearer {self._token}",
        }
        head = b"".join(literal(name, value) for name, value in headers.items())
        settings = struct.pack(">HI", 4, WIDE_WINDOW)  # the initial window of streams
        opening = (frame(SETTINGS, 0, 0, settings), frame(WINDOW, 0, 0, struct.pack(">I", WIDE_WINDOW)))
        subscriptions = (message(self._subscription(url)) for url in (CDS, EDS))
        self._transport.write(b"".join((PREFACE, *opening, frame(HEADERS, 4, 1, head), *subscriptions)))

    def data_received(self, data: bytes) -> None:
        """Take frames apart."""
        self._bytes += data
        while len(self._bytes) >= 9:
            end = 9 + int.from_bytes(self._bytes[:3], "big")
            if len(self._bytes) < end:
                return
            kind, flags, payload = self._bytes[3], self._bytes[4], bytes(self._bytes[9:end])
            del self._bytes[:end]
            self._take(kind, flags, payload)

    def connection_lost(self, error: Exception | None) -> None:
        """End everything: a lost client would make the figures wrong."""
        sys.exit(f"the server ended a stream: {error}")

    def _take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == DATA:
            self._body += payload
            while len(self._body) >= 5 and len(self._body) >= (end := 5 + int.from_bytes(self._body[1:5], "big")):
                self._note(discovery_pb2.DeltaDiscoveryResponse.FromString(bytes(self._body[5:end])))
                del self._body[:end]
        elif kind in (SETTINGS, PING) and not flags & 1:
            self._transport.write(frame(kind, 1, 0, payload if kind == PING else b""))
        elif kind in (RESET, GOAWAY) or (kind == HEADERS and flags & 1):
            sys.exit(f"the server ended a stream: {payload!r}")

    def _note(self, response: discovery_pb2.DeltaDiscoveryResponse) -> None:
        if response.type_url == EDS:
            if not self._is_subscribed:
                self._is_subscribed = True
                self._tally.subscribed()
            elif self._is_stranger:
                self._tally.strangers += 1
            else:
                self._tally.got(response.resources[0].version)
        reply = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        self._transport.write(message(reply))

    def _subscription(self, url: str) -> discovery_pb2.DeltaDiscoveryRequest:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=[self._upstream])
        if url == CDS:
            request.node.metadata["skep"] = msgspec.to_builtins(self._node)
        return request


async def main(arguments: argparse.Namespace) -> None:
    """Run all clients, and one of another service, until the process is stopped."""
    tally = Tally(arguments.clients)
    host, _, port = arguments.xds.rpartition(":")
    loop = asyncio.get_running_loop()
    for number in range(arguments.clients + 1):
        is_stranger = number == arguments.clients
        upstream = arguments.stranger if is_stranger else arguments.upstream
        node = SidecarNode(
            Namespace(upstream.partition("/")[0]),
            ServiceName("caller"),
            InstanceId(f"caller-{number}"),
            Address("127.0.0.1", 15001),
        )
        client = Client(arguments.token, node, upstream, tally, is_stranger=is_stranger)
        await loop.create_connection(lambda client=client: client, host, int(port))  # type: ignore[misc]
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--xds", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--stranger", required=True)
    uvloop.run(main(parser.parse_args()))
