"""The server proxies connect to: delta ADS over gRPC. Hides gRPC, the streams and who asks for what.

In: a `Source` of answers and `publish`, which says whose answers changed. Out: bytes to every stream that asks for them;
to the source, what proxies took and refused. An answer is asked for once however many streams get it. It never parses or
serialises a resource.
"""

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime

import grpc
import msgspec
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from skep.clock import Clock, SystemClock
from skep.errors import Invalid, Unavailable
from skep.model.names import is_dns_label, is_dns_subdomain
from skep.model.node import Address, GatewayNode, Node
from skep.xds.session import Accepted, Event, Refused, Session, Unwatch, Watch
from skep.xds.snapshot import Demand, Encoded, Source, demand
from skep.xds.translate.names import LDS

log = logging.getLogger(__name__)

_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a taken port must be an error, not a shared port
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)
RETRY_S = 5.0
"""A port that could not be listened on is tried again after so long; other refusals stand until their author acts."""
_MAX_NAME_BYTES = 4096
_MAX_SUBSCRIPTIONS = 100_000


class Connection(msgspec.Struct, frozen=True):
    """A connected proxy, and how far it is."""

    node: Node
    since: datetime
    acknowledged: Mapping[str, Mapping[str, str]]
    """By type and resource: the version it took last."""
    refusal: str
    """What it said when it last refused something; empty if it never did."""


class _Stream:
    """One proxy's stream: its session, and the signal that there may be something to send."""

    def __init__(self, node: Node, since: datetime) -> None:
        self.node = node
        self.since = since
        self.session = Session(node.namespace)
        self.news = asyncio.Event()
        self.demands: dict[Demand, None] = {}
        self.retry: asyncio.TimerHandle | None = None

    def offer_again(self) -> None:
        """Try listeners again that were refused."""
        self.retry = None
        self.session.offer_again(LDS)
        if self.session.is_due:
            self.news.set()


class _Watched:
    """One demand: its newest answer, who asks for it, and what proxies were last known to take."""

    def __init__(self, answer: tuple[Encoded, ...]) -> None:
        self.answer = answer
        self.streams: dict[_Stream, None] = {}
        self.taken: dict[str, str] = {}


class XdsServer:
    """Serves delta ADS."""

    def __init__(
        self, source: Source, authorize: Callable[[str], bool], address: Address, clock: Clock | None = None
    ) -> None:
        self._source = source
        self._authorize = authorize
        self._address = address
        self._clock = clock or SystemClock()
        self._watched: dict[Demand, _Watched] = {}
        self._streams: dict[_Stream, None] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self) -> Address:
        """Listen; return the address, with the port chosen when 0 was asked for."""
        server = grpc.aio.server(options=_OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(self._serve)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, {"DeltaAggregatedResources": handler}),)
        )
        try:
            port = server.add_insecure_port(str(self._address))
        except RuntimeError as failure:
            port = 0
            cause: Exception | None = failure
        else:
            cause = None
        if port == 0:
            raise Unavailable(
                f"cannot listen for proxies on {self._address}: is port {self._address.port} in use?"
            ) from cause
        await server.start()
        self._server = server
        self._address = Address(self._address.host, port)
        return self._address

    async def stop(self, grace_s: float = 0.0) -> None:
        """Close every stream; proxies keep what they have."""
        if self._server is not None:
            await self._server.stop(grace_s)
            self._server = None

    def publish(self, changed: Iterable[Demand]) -> None:
        """Send the new answers of these demands to every stream that asks for them."""
        for one in changed:
            watched = self._watched.get(one)
            if watched is None:
                continue
            answer = self._source.answer(one)
            if answer == watched.answer:
                continue
            watched.answer = answer
            for stream in tuple(watched.streams):
                self._act_on(stream, stream.session.update(one.type_url, one.name, answer))
                stream.news.set()

    def connected(self) -> Sequence[Connection]:
        """List the connected proxies."""
        return [Connection(s.node, s.since, s.session.acknowledged(), s.session.refusal) for s in self._streams]

    # One stream.

    async def _serve(self, requests: AsyncIterator[bytes], context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        if not self._authorize(_bearer(context.invocation_metadata())):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token was sent")
        try:
            first = _parse(await anext(requests))
            node = parse_node(first)
        except StopAsyncIteration:
            return
        except Invalid as failure:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, failure.message)
        stream = _Stream(node, self._clock.now())
        self._streams[stream] = None
        try:
            self._receive(stream, first)
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(stream, context))
                await self._read(stream, requests)
                writer.cancel()
        except* Invalid as failures:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(failures.exceptions[0]))
        finally:
            self._forget(stream)

    async def _read(self, stream: _Stream, requests: AsyncIterator[bytes]) -> None:
        async for data in requests:
            self._receive(stream, _parse(data))

    async def _write(self, stream: _Stream, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        while True:
            await stream.news.wait()
            stream.news.clear()
            for response in stream.session.responses():
                await context.write(response)

    def _receive(self, stream: _Stream, request: discovery_pb2.DeltaDiscoveryRequest) -> None:
        if any(len(name) > _MAX_NAME_BYTES for name in request.resource_names_subscribe):
            raise Invalid(f"resource_names_subscribe: a name is longer than {_MAX_NAME_BYTES} characters")
        self._act_on(stream, stream.session.receive(request))
        if len(stream.demands) > _MAX_SUBSCRIPTIONS:
            raise Invalid(f"resource_names_subscribe: more than {_MAX_SUBSCRIPTIONS} names on one stream")
        if stream.session.is_due:
            stream.news.set()

    def _act_on(self, stream: _Stream, events: Iterable[Event]) -> None:
        for event in events:
            one = demand(stream.node, event.type_url, event.name)
            if isinstance(event, Watch):
                answer = self._watch(stream, one)
                self._act_on(stream, stream.session.update(event.type_url, event.name, answer))
            elif isinstance(event, Unwatch):
                self._unwatch(stream, one)
            elif isinstance(event, Accepted):
                self._accepted(one, event.resources)
            elif isinstance(event, Refused) and one in self._watched:
                if event.type_url == LDS and stream.retry is None:
                    stream.retry = asyncio.get_running_loop().call_later(RETRY_S, stream.offer_again)
                self._source.refused(one, event.resources, event.message)

    # Demands.

    def _watch(self, stream: _Stream, one: Demand) -> tuple[Encoded, ...]:
        watched = self._watched.get(one)
        if watched is None:
            watched = self._watched[one] = _Watched(self._source.watch(one))
        watched.streams[stream] = None
        stream.demands[one] = None
        return watched.answer

    def _unwatch(self, stream: _Stream, one: Demand) -> None:
        stream.demands.pop(one, None)
        watched = self._watched.get(one)
        if watched is None:
            return
        watched.streams.pop(stream, None)
        if not watched.streams:
            del self._watched[one]
            self._source.unwatch(one)

    def _accepted(self, one: Demand, resources: tuple[Encoded, ...]) -> None:
        watched = self._watched.get(one)
        if watched is None:
            return
        news = tuple(r for r in resources if watched.taken.get(r.name) != r.version)
        if news:
            # A thousand proxies take the same: the source hears of it once.
            watched.taken.update({r.name: r.version for r in news})
            self._source.accepted(one, news)

    def _forget(self, stream: _Stream) -> None:
        self._streams.pop(stream, None)
        if stream.retry is not None:
            stream.retry.cancel()
        for one in tuple(stream.demands):
            self._unwatch(stream, one)


def parse_node(request: discovery_pb2.DeltaDiscoveryRequest) -> Node:
    """Read who a proxy is from the metadata of its first request; Invalid says what is wrong with it."""
    try:
        metadata = json_format.MessageToDict(request.node.metadata).get("skep")
        node = msgspec.convert(_whole_numbers(metadata), Node)
    except (msgspec.ValidationError, ValueError, RecursionError) as failure:
        raise Invalid(f"node.metadata.skep: {failure}") from failure
    checked: Node = node
    if not is_dns_label(checked.namespace):
        raise Invalid(f"node.metadata.skep.namespace: {checked.namespace[:64]!r} is not a namespace's name")
    name = checked.name if isinstance(checked, GatewayNode) else checked.service
    if not is_dns_subdomain(name):
        raise Invalid(f"node.metadata.skep: {name[:64]!r} is not a name")
    for address in _addresses(checked):
        if not 0 < address.port < 65536 or not _is_ip(address.host):
            raise Invalid(f"node.metadata.skep: {str(address)[:80]!r} is not an IP address and a port")
    return checked


def _addresses(node: Node) -> list[Address]:
    if isinstance(node, GatewayNode):
        return []
    return [node.outbound, *(each for i in node.inbound for each in (i.listen, i.application))]


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _whole_numbers(value: object) -> object:
    """Undo what protobuf's Struct does to integers."""
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parse(data: bytes) -> discovery_pb2.DeltaDiscoveryRequest:
    try:
        return discovery_pb2.DeltaDiscoveryRequest.FromString(data)
    except DecodeError as failure:
        raise Invalid("not a DeltaDiscoveryRequest") from failure


def _bearer(metadata: object) -> str:
    for key, value in metadata or ():  # type: ignore[attr-defined]
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            return token if scheme.lower() == "bearer" else ""
    return ""
