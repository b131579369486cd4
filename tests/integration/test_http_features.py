"""Every feature of HTTPRoute through real Envoys, at the gateway and in the mesh: what is declared is what happens."""

import http.client
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.entrance import Entrance, World, rule, soon, to, world


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    with world("a", "b", "c", "d") as found:
        yield found


@pytest.fixture(params=["gateway", "mesh"])
def enter(running: World, request: pytest.FixtureRequest) -> Iterator[Entrance]:
    yield Entrance(running, request.param)
    running.clean()


def header(name: str, value: str, **more: str) -> dict[str, object]:
    return {"headers": [{"name": name, "value": value, **more}]}


def path(value: str, kind: str = "PathPrefix") -> dict[str, object]:
    return {"path": {"type": kind, "value": value}}


def test_matches_with_the_specification_s_precedence(enter: Entrance) -> None:
    enter.route(
        rule("a", matches=[path("/"), path("/shop/.*/x", "RegularExpression")]),
        rule("b", matches=[path("/shop")]),
        rule("c", matches=[path("/shop", "Exact"), {**path("/shop"), "method": "POST"}]),
        rule("d", matches=[{**path("/shop"), **header("x-who", "me")}]),
        rule("front", matches=[{"queryParams": [{"name": "q", "value": "1.*", "type": "RegularExpression"}]}]),
    )
    soon(lambda: enter("/shop/1").app == "b")
    assert enter("/").app == "a"
    assert enter("/shopping").app == "a", "a prefix is made of whole elements"
    assert enter("/shop/").app == "b"
    assert enter("/shop").app == "c", "exact before prefix"
    assert enter("/shop", x_who="me").app == "c", "exact before anything else"
    assert enter("/shop/1", "POST").app == "c"
    assert enter("/shop/1", "POST", x_who="me").app == "c", "a method before headers"
    assert enter("/shop/1", x_who="me").app == "d"
    assert enter("/shop/1", X_WHO="me").app == "d", "names of headers have no case"
    assert enter("/shop/1", x_who="Me").app == "b", "values have"
    assert enter("/other?q=12").app == "front", "query parameters decide between equal paths"
    assert enter("/other?q=2").app == "a"


def test_header_and_query_matches(enter: Entrance) -> None:
    enter.route(
        rule("a", matches=[{"headers": [{"name": "v", "value": "1"}, {"name": "w", "value": "[0-9]+", "type": "RegularExpression"}]}]),
        rule("b", matches=[{"queryParams": [{"name": "q", "value": "1"}, {"name": "Q", "value": "2"}]}]),
        rule("c", matches=[path("/re/[a-c]+", "RegularExpression")]),
    )  # fmt: skip
    soon(lambda: enter(v="1", w="12").app == "a")
    assert enter(v="1", w="12x").status == 404, "the whole value counts, and all of a match's conditions"
    assert enter(v="1").status == 404
    assert enter("/?q=1&Q=2").app == "b", "names of query parameters have a case"
    assert enter("/?q=1").status == 404
    assert enter("/re/abc").app == "c"
    assert enter("/re/abcd").status == 404, "the whole path counts"


def test_weights_share_the_requests_out(enter: Entrance) -> None:
    enter.route({"backendRefs": [to("a", weight=9), to("b", weight=1), to("c", weight=0)]})
    soon(lambda: enter().app in ("a", "b"))
    shares = Counter(enter().app for _ in range(400))
    assert set(shares) == {"a", "b"}
    assert 10 <= shares["b"] <= 80, shares


def test_a_weight_that_changes_is_followed(enter: Entrance) -> None:
    where = enter.route({"backendRefs": [to("a", weight=1), to("b", weight=0)]})
    soon(lambda: enter().app == "a")
    rules = [{"backendRefs": [to("a", weight=0), to("b", weight=1)]}]
    enter.world.skep.call("PATCH", where, {"spec": {"rules": rules}})
    soon(lambda: enter().app == "b")
    assert {enter().app for _ in range(20)} == {"b"}


def test_headers_of_requests_and_responses_are_changed(enter: Entrance) -> None:
    change = {
        "set": [{"name": "x-set", "value": "new"}],
        "add": [{"name": "x-old", "value": "more"}],
        "remove": ["x-gone"],
    }
    filters = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": change},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": change},
    ]
    enter.route(rule("a", filters=filters))
    soon(lambda: "x-set" in enter().headers)
    answer = enter(x_set="old", x_old="old", x_gone="gone")
    saw = answer.saw["headers"]
    assert (saw["x-set"], saw["x-old"], "x-gone" in saw) == ("new", "old,more", False)
    assert (answer.headers["x-set"], answer.headers.get_all("x-old"), answer.headers["x-gone"]) == (
        "new",
        ["old", "more"],
        None,
    )


def test_headers_are_changed_for_one_backend_alone(enter: Entrance) -> None:
    def marking(app: str) -> dict[str, object]:
        change = {"set": [{"name": "x-for", "value": app}]}
        kinds = ("RequestHeaderModifier", "ResponseHeaderModifier")
        return to(app, filters=[{"type": kind, kind[0].lower() + kind[1:]: change} for kind in kinds])

    enter.route({"backendRefs": [marking("a"), marking("b")]})
    soon(lambda: "x-for" in enter().headers)
    answers = [enter() for _ in range(40)]
    assert {(each.app, each.saw["headers"]["x-for"], each.headers["x-for"]) for each in answers} == {
        ("a", "a", "a"),
        ("b", "b", "b"),
    }


def test_redirects(enter: Entrance) -> None:
    def redirect(at: str, **change: object) -> dict[str, object]:
        return {"matches": [path(at)], "filters": [{"type": "RequestRedirect", "requestRedirect": change}]}

    replaced = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}
    full = {"type": "ReplaceFullPath", "replaceFullPath": "/all"}
    enter.route(
        redirect("/host", hostname="other.example", port=8080, statusCode=301),
        redirect("/prefix", path=replaced, hostname="other.example", scheme="https"),
        redirect("/full", path=full, statusCode=308, hostname="other.example", port=80, scheme="http"),
    )
    soon(lambda: enter("/host").status == 301)
    assert enter("/host/1?q=1").headers["location"] == "http://other.example:8080/host/1?q=1"
    answer = enter("/prefix/1?q=1")
    assert (answer.status, answer.headers["location"]) == (302, "https://other.example/new/1?q=1")
    answer = enter("/full/1")
    assert (answer.status, answer.headers["location"]) == (308, "http://other.example/all")


def test_rewrites(enter: Entrance) -> None:
    def rewrite(at: str, **change: object) -> dict[str, object]:
        return rule("a", matches=[path(at)], filters=[{"type": "URLRewrite", "urlRewrite": change}])

    enter.route(
        rewrite("/host", hostname="inner.example"),
        rewrite("/full", path={"type": "ReplaceFullPath", "replaceFullPath": "/one"}),
        rewrite("/prefix", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}),
        rewrite("/root", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}),
    )
    soon(lambda: enter("/host").app == "a")
    assert (enter("/host/x").saw["headers"]["host"], enter("/host/x").saw["path"]) == ("inner.example", "/host/x")
    assert enter("/full/x?q=1").saw["path"] == "/one?q=1"
    assert enter("/prefix/x?q=1").saw["path"] == "/new/x?q=1"
    assert enter("/prefix").saw["path"] == "/new"
    assert enter("/root/x").saw["path"] == "/x"
    assert enter("/root").saw["path"] == "/"
    assert enter("/full").saw["headers"]["host"] == "front", "without a hostname the host stays"


def test_copies_go_to_another_service(enter: Entrance) -> None:
    all_of_them = {"type": "RequestMirror", "requestMirror": {"backendRef": to("b")}}
    enter.route(rule("a", filters=[all_of_them]))
    seen = enter.world.apps["b"].seen
    soon(lambda: enter("/copied").app == "a" and any(each["path"] == "/copied" for each in seen))
    seen.clear()
    for number in range(20):
        assert enter(f"/{number}", "POST").app == "a"
    soon(lambda: sorted(each["path"] for each in seen) == sorted(f"/{number}" for number in range(20)))


def test_a_share_of_copies(enter: Entrance) -> None:
    mirrors = [
        {"type": "RequestMirror", "requestMirror": {"backendRef": to("b"), "percent": 0}},
        {"type": "RequestMirror", "requestMirror": {"backendRef": to("c"), "percent": 50}},
        {
            "type": "RequestMirror",
            "requestMirror": {"backendRef": to("d"), "fraction": {"numerator": 1, "denominator": 10}},
        },
    ]
    enter.route(rule("a", filters=mirrors))
    counts = {name: enter.world.apps[name].seen for name in "bcd"}
    soon(lambda: enter().app == "a" and bool(counts["c"]))
    for seen in counts.values():
        seen.clear()
    assert all(enter("/m").app == "a" for _ in range(300))
    soon(lambda: len(counts["c"]) > 100)
    assert len(counts["b"]) == 0
    assert len(counts["c"]) < 200
    assert 5 <= len(counts["d"]) <= 75, len(counts["d"])


def test_time_limits(enter: Entrance) -> None:
    enter.route(
        rule("a", matches=[path("/all")], timeouts={"request": "300ms"}),
        rule("a", matches=[path("/one")], timeouts={"request": "5s", "backendRequest": "200ms"}),
        rule("a", matches=[path("/none")], timeouts={"request": "0s"}),
    )
    soon(lambda: enter("/all").app == "a")
    late = enter("/all", x_delay="20")
    assert late.status == 504
    assert late.took_s < 15
    seen = enter.world.apps["a"].seen
    seen.clear()
    late = enter("/one", "POST", x_delay="20")
    assert late.status == 504
    assert late.took_s < 15
    assert len(seen) == 1, "what may have been done is not done again"
    assert enter("/none", x_delay="1").status == 200


def test_references_that_lead_nowhere_spoil_their_share_alone(enter: Entrance) -> None:
    where = enter.route(rule("a"), rule("nobody", matches=[path("/bad")]), rule("a", "nobody", matches=[path("/half")]))
    soon(lambda: enter().app == "a")
    assert enter("/bad").status == 500
    assert {enter("/half").status for _ in range(40)} == {200, 500}
    soon(lambda: enter.world.conditions(where).get("ResolvedRefs") == ("False", "BackendNotFound"))
    assert enter.world.conditions(where)["Accepted"] == ("True", "Accepted")


def test_events_and_upgrades_pass(enter: Entrance) -> None:
    enter.route(rule("a"))
    soon(lambda: enter().app == "a")
    connection = http.client.HTTPConnection("127.0.0.1", enter.port, timeout=10)
    connection.request("GET", "/events", headers={"host": "front"})
    answer = connection.getresponse()
    assert answer.headers["content-type"] == "text/event-stream"
    first, arrived = answer.readline(), time.perf_counter()
    assert first.startswith(b"data: 0 at ")
    rest = answer.read().decode()
    assert arrived < float(rest.partition("data: 1 at ")[2]), "an event is passed on before the next is there"
    connection.close()

    with socket.create_connection(("127.0.0.1", enter.port), timeout=10) as raw:
        upgrade = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
        raw.sendall(f"GET /ws HTTP/1.1\r\nhost: front\r\n{upgrade}sec-websocket-key: dGVzdA==\r\n\r\n".encode())
        stream = raw.makefile("rb")
        assert b" 101 " in stream.readline()
        while stream.readline() != b"\r\n":
            pass
        for sent in (b"abc", b"\x00\x81\xff"):
            raw.sendall(sent)
            assert stream.read(3) == sent[::-1]
        stream.close()
