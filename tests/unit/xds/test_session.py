"""Scripts of requests, answers and replies on one stream."""

from collections.abc import Mapping, Sequence

from envoy.service.discovery.v3 import discovery_pb2 as pb

from skep.model.names import Namespace
from skep.xds.session import Accepted, Event, Refused, Session, Unwatch, Watch
from skep.xds.snapshot import WILDCARD, Encoded
from skep.xds.translate.names import CDS, EDS, LDS, RDS, SDS, VHDS
from skep.xds.translate.wire import field


def made(name: str, version: str = "1", needs: tuple[str, ...] = ()) -> Encoded:
    return Encoded(name, version, field(1, version.encode()) + field(3, name.encode()), needs=needs)


class Script:
    """A session, and the proxy at its other end."""

    def __init__(self) -> None:
        self.session = Session(Namespace("shop"))

    def ask(
        self, url: str, names: Sequence[str] = (), drop: Sequence[str] = (), known: Mapping[str, str] | None = None
    ) -> list[Event]:
        return self.session.receive(
            pb.DeltaDiscoveryRequest(
                type_url=url,
                resource_names_subscribe=names,
                resource_names_unsubscribe=drop,
                initial_resource_versions=known or {},
            )
        )

    def answer(self, url: str, name: str, *resources: Encoded) -> list[Event]:
        return self.session.update(url, name, resources)

    def read(self) -> list[pb.DeltaDiscoveryResponse]:
        return [pb.DeltaDiscoveryResponse.FromString(data) for data in self.session.responses()]

    def shown(self) -> list[tuple[str, list[str], list[str]]]:
        """Read and take all, and say what was in it: type, resources as `name@version`, removed names."""
        read = self.read()
        for response in read:
            self.ack(response)
        return [(r.type_url, [f"{x.name}@{x.version}" for x in r.resources], list(r.removed_resources)) for r in read]

    def ack(self, response: pb.DeltaDiscoveryResponse) -> list[Event]:
        request = pb.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        return self.session.receive(request)

    def nack(self, response: pb.DeltaDiscoveryResponse, message: str = "no") -> list[Event]:
        request = pb.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        request.error_detail.message = message
        return self.session.receive(request)


def test_named_subscription_is_answered_and_then_only_changes_are_sent() -> None:
    script = Script()
    assert script.ask(EDS, ["a"]) == [Watch(EDS, "a")]
    assert script.shown() == []
    script.answer(EDS, "a", made("a"))
    (response,) = script.read()
    assert script.ack(response) == [Accepted(EDS, "a", (made("a"),))]
    assert script.session.acknowledged() == {EDS: {"a": "1"}}
    script.answer(EDS, "a", made("a"))
    assert script.shown() == []
    script.answer(EDS, "a", made("a", "2"))
    assert script.shown() == [(EDS, ["a@2"], [])]


def test_slow_stream_gets_only_the_latest() -> None:
    script = Script()
    script.ask(EDS, ["a"])
    for version in ("1", "2", "3"):
        script.answer(EDS, "a", made("a", version))
    assert script.shown() == [(EDS, ["a@3"], [])]


def test_proxy_that_has_not_replied_gets_only_the_latest_when_it_does() -> None:
    script = Script()
    script.ask(RDS, ["a", "b"])
    script.answer(RDS, "a", made("a"))
    (response,) = script.read()
    for version in ("2", "3"):
        script.answer(RDS, "a", made("a", version))
        assert script.read() == []
        assert not script.session.is_due
    script.answer(RDS, "b", made("b"))
    assert script.shown() == [(RDS, ["b@1"], [])], "others do not wait"
    script.ack(response)
    assert script.session.is_due
    assert script.shown() == [(RDS, ["a@3"], [])]


def test_empty_wildcard_is_answered_with_an_empty_response_once() -> None:
    script = Script()
    assert script.ask(CDS) == [Watch(CDS, WILDCARD)]
    script.answer(CDS, WILDCARD)
    assert script.shown() == [(CDS, [], [])]
    script.answer(CDS, WILDCARD)
    assert script.shown() == []


def test_wildcard_removes_what_it_no_longer_lists() -> None:
    script = Script()
    script.ask(LDS)
    script.answer(LDS, WILDCARD, made("a"), made("b"))
    assert script.shown() == [(LDS, ["a@1", "b@1"], [])]
    script.answer(LDS, WILDCARD, made("b"))
    assert script.shown() == [(LDS, [], ["a"])]
    script.answer(LDS, WILDCARD, made("a"), made("b"))
    assert script.shown() == [(LDS, ["a@1"], [])]


def test_wildcard_and_names_live_side_by_side_on_one_type() -> None:
    script = Script()
    script.ask(CDS)
    script.answer(CDS, WILDCARD, made("inbound/1"))
    assert script.shown() == [(CDS, ["inbound/1@1"], [])]
    assert script.ask(CDS, ["orders"]) == [Watch(CDS, "orders")]
    script.answer(CDS, "orders", made("orders"))
    assert script.shown() == [(CDS, ["orders@1"], [])]
    script.answer(CDS, WILDCARD, made("inbound/1", "2"))
    assert script.shown() == [(CDS, ["inbound/1@2"], [])]
    assert script.ask(CDS, drop=["orders"]) == [Unwatch(CDS, "orders")]
    assert script.answer(CDS, "orders", made("orders", "2")) == []
    assert script.shown() == []


def test_unknown_names_are_removed_but_unknown_hosts_get_a_resource_without_a_body() -> None:
    script = Script()
    script.ask(EDS, ["a"])
    script.answer(EDS, "a")
    assert script.shown() == [(EDS, [], ["a"])]
    script.ask(VHDS, ["outbound/shop/nobody"])
    script.answer(VHDS, "outbound/shop/nobody")
    (response,) = script.read()
    script.ack(response)
    (resource,) = response.resources
    assert (resource.name, list(resource.aliases)) == ("outbound/shop/nobody", ["outbound/shop/nobody"])
    assert not resource.HasField("resource")
    script.answer(VHDS, "outbound/shop/nobody", made("outbound/shop/nobody"))
    assert script.shown() == [(VHDS, ["outbound/shop/nobody@1"], [])]


def test_host_that_is_no_more_is_taken_away_and_unknown_when_called_again() -> None:
    script = Script()
    script.ask(VHDS, ["outbound/shop/a"])
    script.answer(VHDS, "outbound/shop/a", made("outbound/shop/a"))
    script.shown()
    script.answer(VHDS, "outbound/shop/a")
    assert script.shown() == [(VHDS, [], ["outbound/shop/a"])], "a resource without a body would leave it as it was"
    script.ask(VHDS, ["outbound/shop/a"])
    assert script.shown() == [(VHDS, ["outbound/shop/a@"], [])]
    script.answer(VHDS, "outbound/shop/a", made("outbound/shop/a", "2"))
    assert script.shown() == [(VHDS, ["outbound/shop/a@2"], [])]


def test_first_empty_subscription_of_hosts_is_answered_with_one_host() -> None:
    script = Script()
    assert script.ask(VHDS) == []
    (response,) = script.read()
    assert [r.name for r in response.resources] == ["outbound/shop/nobody.invalid"]
    assert script.read() == []


def test_name_asked_for_again_is_sent_again() -> None:
    script = Script()
    script.ask(RDS, ["a"])
    script.answer(RDS, "a", made("a"))
    script.shown()
    assert script.ask(RDS, ["a"]) == []
    assert script.shown() == [(RDS, ["a@1"], [])]


def test_reconnect_sends_nothing_that_is_current() -> None:
    script = Script()
    script.ask(CDS, ["*", "orders"], known={"inbound/1": "1", "orders": "1", "old": "1"})
    script.answer(CDS, WILDCARD, made("inbound/1"))
    script.answer(CDS, "orders", made("orders"))
    script.ask(EDS, ["orders"], known={"orders": "1"})
    script.answer(EDS, "orders", made("orders", "2"))
    assert script.shown() == [(EDS, ["orders@2"], []), (CDS, [], ["old"])]
    assert script.session.acknowledged()[EDS] == {"orders": "2"}


def test_what_is_held_from_before_counts_as_taken() -> None:
    script = Script()
    script.ask(RDS, ["a", "b"], known={"a": "1", "b": "1"})
    assert script.answer(RDS, "a", made("a")) == [Accepted(RDS, "a", (made("a"),))]
    assert script.answer(RDS, "b", made("b", "2")) == []
    assert script.answer(RDS, "a", made("a")) == [], "it is said once"


def test_refused_is_offered_again_when_its_reason_may_have_passed() -> None:
    script = Script()
    script.ask(LDS)
    script.answer(LDS, WILDCARD, made("a"))
    script.shown()
    script.answer(LDS, WILDCARD, made("a"), made("b"))
    script.nack(script.read()[0])
    assert script.shown() == []
    script.session.offer_again(LDS)
    script.session.offer_again(RDS)
    assert script.shown() == [(LDS, ["b@1"], [])]
    script.session.offer_again(LDS)
    assert script.shown() == [], "it was taken"


def test_refused_and_then_gone_is_new_when_it_comes_back() -> None:
    script = Script()
    script.ask(LDS)
    script.answer(LDS, WILDCARD, made("a"))
    script.nack(script.read()[0])
    script.answer(LDS, WILDCARD)
    script.shown()
    script.answer(LDS, WILDCARD, made("a"))
    assert script.shown() == [(LDS, ["a@1"], [])]


def test_refused_alone_is_reported_and_not_offered_again_until_it_changes() -> None:
    script = Script()
    script.ask(RDS, ["a"])
    script.answer(RDS, "a", made("a"))
    script.ack(script.read()[0])
    script.answer(RDS, "a", made("a", "bad"))
    assert script.nack(script.read()[0], "why") == [Refused(RDS, "a", (made("a", "bad"),), "why")]
    assert script.session.refusal == "why"
    assert script.session.acknowledged() == {RDS: {"a": "1"}}
    script.answer(RDS, "a", made("a", "bad"))
    assert script.shown() == []
    script.answer(RDS, "a", made("a"))
    assert script.shown() == [], "the proxy kept the last good one"
    script.answer(RDS, "a", made("a", "3"))
    assert script.shown() == [(RDS, ["a@3"], [])]


def test_refused_together_is_offered_again_in_halves_until_the_bad_one_is_alone() -> None:
    script = Script()
    script.ask(LDS)
    script.answer(LDS, WILDCARD, *(made(name) for name in "abcd"))
    events: list[Event] = []
    rounds = [script.read()]
    while rounds[-1]:
        for response in rounds[-1]:
            bad = any(r.name == "c" for r in response.resources)
            events += script.nack(response) if bad else script.ack(response)
        rounds.append(script.read())
    refused = [event for event in events if isinstance(event, Refused)]
    assert refused == [Refused(LDS, WILDCARD, (made("c"),), "no")]
    assert script.session.acknowledged() == {LDS: {"a": "1", "b": "1", "d": "1"}}
    assert [len(r) for r in rounds] == [1, 2, 2, 0]


def test_types_go_out_in_an_order_that_breaks_nothing() -> None:
    script = Script()
    for url in (VHDS, RDS, LDS, SDS, EDS, CDS):
        script.ask(url, ["a", "b"])
        script.answer(url, "a", made("a"))
        script.answer(url, "b", made("b"))
    assert [url for url, _, _ in script.shown()] == [CDS, EDS, SDS, LDS, RDS, VHDS]
    for url in (VHDS, RDS, LDS, SDS, EDS, CDS):
        script.answer(url, "a", made("a", "2"))
    script.answer(CDS, "b")
    script.answer(EDS, "b")
    assert script.shown()[-2:] == [(CDS, [], ["b"]), (EDS, [], ["b"])]


def test_replaced_cluster_gets_its_endpoints_again() -> None:
    script = Script()
    for url in (CDS, EDS):
        script.ask(url, ["a"])
        script.answer(url, "a", made("a"))
    script.shown()
    script.answer(CDS, "a", made("a", "2"))
    assert script.shown() == [(CDS, ["a@2"], []), (EDS, ["a@1"], [])]


def test_clusters_that_a_host_needs_come_without_being_asked_for() -> None:
    script = Script()
    script.ask(CDS)
    script.ask(VHDS, ["h"])
    assert script.answer(VHDS, "h", made("h", needs=("copy",))) == [Watch(CDS, "copy")]
    script.answer(CDS, "copy", made("copy"))
    assert (CDS, ["copy@1"], []) in script.shown()
    assert script.answer(VHDS, "h", made("h", "2")) == [Unwatch(CDS, "copy")]


def test_stale_nonce_is_ignored() -> None:
    script = Script()
    script.ask(EDS, ["a"])
    stale = pb.DeltaDiscoveryResponse(type_url=EDS, nonce="77")
    assert script.ack(stale) == []
    assert script.nack(stale) == []


def test_large_answers_are_cut_into_several_responses() -> None:
    script = Script()
    script.ask(CDS)
    big = [Encoded(f"c{n}", "1", field(3, f"c{n}".encode()) + field(8, b"x" * 400_000)) for n in range(5)]
    script.answer(CDS, WILDCARD, *big)
    assert [len(r.resources) for r in script.read()] == [2, 2, 1]
