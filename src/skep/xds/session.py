"""One delta ADS stream as a state machine: requests and answers in, events and responses out. Pure: no IO, no time.

It keeps, for each type, what the proxy asked for, the newest answer to each, what was sent and what was acknowledged.
A slow proxy costs nothing extra: until it has replied to an answer, newer ones take one another's place. Responses are
put together around bytes that all streams share.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec
from envoy.service.discovery.v3 import discovery_pb2 as pb

from skep.model.names import Namespace
from skep.xds.snapshot import WILDCARD, Encoded
from skep.xds.translate.encode import encode_first_host, encode_unknown_host
from skep.xds.translate.names import CDS, EDS, LDS, RDS, SDS, VHDS
from skep.xds.translate.wire import field

ORDER = (CDS, EDS, SDS, LDS, RDS, VHDS)
"""What is used comes before what uses it; what is taken away (below) goes in the other direction."""
_REMOVED_LAST = (CDS, EDS)
_BATCH_BYTES = 1 << 20
_RESOURCES, _TYPE_URL, _NONCE, _REMOVED = 2, 4, 5, 6  # of DeltaDiscoveryResponse


class Watch(msgspec.Struct, frozen=True):
    """The proxy asks for a name, or for all it should have: answer with `Session.update`."""

    type_url: str
    name: str


class Unwatch(msgspec.Struct, frozen=True):
    """The proxy no longer asks for it."""

    type_url: str
    name: str


class Accepted(msgspec.Struct, frozen=True):
    """The proxy took these, sent in answer to what it asked for under `name`."""

    type_url: str
    name: str
    resources: tuple[Encoded, ...]


class Refused(msgspec.Struct, frozen=True):
    """The proxy refused this one, and said why; it keeps what it had."""

    type_url: str
    name: str
    resources: tuple[Encoded, ...]
    message: str


Event = Watch | Unwatch | Accepted | Refused


class _Offer(msgspec.Struct, frozen=True):
    """A response on its way: what it held, by subscription."""

    resources: tuple[tuple[str, Encoded], ...]
    removed: tuple[str, ...]


class _Type:
    """The state of one type."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[Encoded, ...] | None] = {}  # by subscription; None: not answered yet
        self.implied: set[str] = set()  # subscriptions the proxy did not make, for what others need
        self.dirty: dict[str, None] = {}
        self.sent: dict[str, str] = {}  # by resource: the version the proxy has, as far as we know
        self.acked: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.listed: dict[str, None] = {}  # resources that the wildcard's answer had
        self.offers: dict[str, _Offer] = {}
        self.awaited: Counter[str] = (
            Counter()
        )  # subscriptions with an answer on its way, and how many responses it took
        self.held: dict[str, None] = {}  # what would be dirty but for that
        self.again: list[tuple[tuple[str, Encoded], ...]] = []  # halves of what was refused together
        self.must_reply = False


class Session:
    """The state of one stream."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._types: dict[str, _Type] = {}
        self._nonce = 0
        self.refusal = ""
        """What the proxy said when it last refused something."""

    def receive(self, request: pb.DeltaDiscoveryRequest) -> list[Event]:
        """Take in a request; return what follows from it."""
        events: list[Event] = []
        url = request.type_url
        state = self._types.get(url)
        first = state is None
        if state is None:
            state = self._types[url] = _Type()
            state.sent.update(request.initial_resource_versions)
            state.acked.update(request.initial_resource_versions)
        if request.response_nonce:
            events += self._reply(url, state, request)
        wanted = list(request.resource_names_subscribe)
        if first and not wanted:
            if url == VHDS:
                self._open_table(state)
            else:
                wanted = [WILDCARD]
        known = request.initial_resource_versions if first else {}
        events += self._subscribe(url, state, wanted, known)
        if first and WILDCARD in state.answers:
            # What it holds from before and asks for by no name came by the wildcard.
            state.listed.update({name: None for name in known if name not in state.answers})
            state.must_reply = not known
        events += self._unsubscribe(url, state, request.resource_names_unsubscribe)
        return events

    def update(self, type_url: str, name: str, answer: tuple[Encoded, ...]) -> list[Event]:
        """Set the newest answer to a subscription; it goes out with the next responses if the proxy lacks it."""
        state = self._types.get(type_url)
        if state is None or name not in state.answers:
            return []
        first = state.answers[name] is None
        state.answers[name] = answer
        state.dirty[name] = None
        events = self._follow_needs() if type_url == VHDS else []
        if first and answer and all(state.acked.get(encoded.name) == encoded.version for encoded in answer):
            events.append(Accepted(type_url, name, answer))  # held from before: it is not sent, so no reply will say so
        return events

    def offer_again(self, type_url: str) -> None:
        """Offer what the proxy refused and is still the newest once more: the reason may have passed."""
        state = self._types.get(type_url)
        if state is None:
            return
        refused, state.refused = state.refused, {}
        for name, answer in state.answers.items():
            if any(encoded.name in refused for encoded in answer or ()):
                state.dirty[name] = None

    def acknowledged(self) -> Mapping[str, Mapping[str, str]]:
        """Return the version of each resource that the proxy said it took, by type."""
        return {url: dict(state.acked) for url, state in self._types.items()}

    @property
    def is_due(self) -> bool:
        """Whether there may be something to send."""
        return any(state.dirty or state.again or state.must_reply for state in self._types.values())

    def responses(self) -> Iterator[bytes]:
        """Yield what the proxy lacks, as serialised responses, in an order that never breaks what works."""
        late: list[tuple[str, list[str]]] = []
        for url in (*ORDER, *(url for url in self._types if url not in ORDER)):
            state = self._types.get(url)
            if state is None or not (state.dirty or state.again or state.must_reply):
                continue
            for half in state.again:
                yield self._response(url, state, half, ())
            state.again = []
            changed, removed = self._due(url, state)
            if url in _REMOVED_LAST and removed:
                late.append((url, removed))
                removed = []
            for batch in _batches(changed):
                state.must_reply = False
                yield self._response(url, state, batch, removed)
                removed = []
            if removed or state.must_reply:
                state.must_reply = False
                yield self._response(url, state, (), removed)
        for url, removed in late:
            yield self._response(url, self._types[url], (), removed)

    # Requests.

    def _subscribe(self, url: str, state: _Type, wanted: Sequence[str], known: Mapping[str, str]) -> list[Event]:
        events: list[Event] = []
        for name in wanted:
            if name not in known:
                state.sent.pop(name, None)  # it asks because it has none, whatever was sent before
                state.refused.pop(name, None)
            state.implied.discard(name)
            if name in state.answers:
                state.dirty[name] = None
            else:
                state.answers[name] = None
                events.append(Watch(url, name))
        return events

    def _unsubscribe(self, url: str, state: _Type, names: Sequence[str]) -> list[Event]:
        events: list[Event] = []
        for name in names:
            if name in state.answers:
                del state.answers[name]
                state.dirty.pop(name, None)
                state.held.pop(name, None)
                events.append(Unwatch(url, name))
            if name not in state.listed:
                state.sent.pop(name, None)
                state.acked.pop(name, None)
        return events + (self._follow_needs() if url == VHDS else [])

    def _open_table(self, state: _Type) -> None:
        first = encode_first_host(self._namespace)
        state.answers[first.name] = (first,)
        state.dirty[first.name] = None

    def _follow_needs(self) -> list[Event]:
        """Subscribe the proxy to clusters it will not ask for, and end that when nothing needs them."""
        clusters = self._types.get(CDS)
        if clusters is None:
            return []
        answers = self._types[VHDS].answers.values()
        needed = {need for answer in answers for encoded in answer or () for need in encoded.needs}
        events: list[Event] = []
        for name in sorted(needed.difference(clusters.answers)):
            clusters.answers[name] = None
            clusters.implied.add(name)
            events.append(Watch(CDS, name))
        for name in sorted(clusters.implied.difference(needed)):
            clusters.implied.discard(name)
            del clusters.answers[name]
            events.append(Unwatch(CDS, name))
        return events

    def _reply(self, url: str, state: _Type, request: pb.DeltaDiscoveryRequest) -> list[Event]:
        offer = state.offers.pop(request.response_nonce, None)
        if offer is None:
            return []
        for name in {name for name, _ in offer.resources}:
            state.awaited[name] -= 1
            if not state.awaited[name]:
                del state.awaited[name]
                if name in state.held:
                    del state.held[name]
                    state.dirty[name] = None
        if request.HasField("error_detail"):
            return self._refuse(url, state, offer, request.error_detail.message)
        by_name: dict[str, list[Encoded]] = {}
        for name, encoded in offer.resources:
            state.acked[encoded.name] = encoded.version
            state.refused.pop(encoded.name, None)
            by_name.setdefault(name, []).append(encoded)
        for gone in offer.removed:
            state.acked.pop(gone, None)
        return [Accepted(url, name, tuple(resources)) for name, resources in by_name.items()]

    def _refuse(self, url: str, state: _Type, offer: _Offer, message: str) -> list[Event]:
        self.refusal = message
        for _, encoded in offer.resources:
            if state.sent.get(encoded.name) == encoded.version:
                _restore(state, encoded.name)
        if len(offer.resources) > 1:
            # Offered again in halves, the good ones are taken and the bad one is found.
            middle = len(offer.resources) // 2
            state.again += [offer.resources[:middle], offer.resources[middle:]]
            return []
        events: list[Event] = []
        for name, encoded in offer.resources:
            state.refused[encoded.name] = encoded.version
            events.append(Refused(url, name, (encoded,), message))
        return events

    # Responses.

    def _due(self, url: str, state: _Type) -> tuple[list[tuple[str, Encoded]], list[str]]:
        changed: dict[str, tuple[str, Encoded]] = {}
        removed: list[str] = []
        dirty, state.dirty = state.dirty, {}
        for name in dirty:
            answer = state.answers.get(name)
            if answer is None:
                continue
            if name in state.awaited:
                state.held[name] = None
                continue
            if not answer and name != WILDCARD:
                # A host that it holds is taken away (no body would leave it there); when it is called again it asks again.
                if url == VHDS and not state.sent.get(name):
                    answer = (encode_unknown_host(name),)
                else:
                    state.sent.pop(name, None)
                    removed.append(name)
            for encoded in answer:
                if state.sent.get(encoded.name) != encoded.version != state.refused.get(encoded.name):
                    changed[encoded.name] = (name, encoded)
            if name == WILDCARD:
                removed += self._unlisted(state, answer)
        return list(changed.values()), removed

    def _unlisted(self, state: _Type, answer: Sequence[Encoded]) -> list[str]:
        listed = {encoded.name: None for encoded in answer}
        gone = [name for name in state.listed if name not in listed and name not in state.answers]
        for name in gone:
            state.sent.pop(name, None)
            state.refused.pop(name, None)
        state.listed = listed
        return gone

    def _response(
        self, url: str, state: _Type, resources: Sequence[tuple[str, Encoded]], removed: Sequence[str]
    ) -> bytes:
        self._nonce += 1
        nonce = str(self._nonce)
        for _, encoded in resources:
            if url == CDS and encoded.name in state.sent:
                self._send_again(EDS, encoded.name)
            state.sent[encoded.name] = encoded.version
        state.offers[nonce] = _Offer(tuple(resources), tuple(removed))
        state.awaited.update({name for name, _ in resources})
        return b"".join(
            (
                *(field(_RESOURCES, encoded.payload) for _, encoded in resources),
                _type_field(url),
                field(_NONCE, nonce.encode()),
                *(field(_REMOVED, name.encode()) for name in removed),
            )
        )

    def _send_again(self, url: str, name: str) -> None:
        """A replaced cluster waits for its endpoints, but does not ask for a name it has asked for before."""
        state = self._types.get(url)
        if state is not None and name in state.answers:
            state.sent.pop(name, None)
            state.dirty[name] = None


@lru_cache(maxsize=32)
def _type_field(url: str) -> bytes:
    return field(_TYPE_URL, url.encode())


def _restore(state: _Type, name: str) -> None:
    if name in state.acked:
        state.sent[name] = state.acked[name]
    else:
        state.sent.pop(name, None)


def _batches(changed: Sequence[tuple[str, Encoded]]) -> Iterator[Sequence[tuple[str, Encoded]]]:
    """Cut into responses of a bearable size."""
    batch: list[tuple[str, Encoded]] = []
    size = 0
    for item in changed:
        if batch and size + len(item[1].payload) > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item[1].payload)
    if batch:
        yield batch
