"""Tables of routes, put together from parts; and the tree, against the list it stands for."""

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.config.route.v3 import route_pb2
from hypothesis import given
from hypothesis import strategies as st

from skep.ir.edge import Routes
from skep.ir.match import PathExact, PathMatch, PathPrefix, PathRegex, RequestMatch
from skep.ir.route import Backend, Forward, Mirror, Origin, Respond, Route, VirtualHost
from skep.model.names import ObjectRef
from skep.xds.translate.virtualhost import (
    TREE_FROM,
    mirrors_of,
    origins_of,
    outbound_table_message,
    routes_bytes,
    virtual_host_bytes,
)


def origin(name: str) -> Origin:
    return Origin(ObjectRef("gateway.networking.k8s.io", "HTTPRoute", "shop", name), 1)


def route(name: str, path: PathMatch) -> Route:
    return Route(name, RequestMatch(path), Respond(200, name), origin(name))


def host(*routes: Route) -> VirtualHost:
    return VirtualHost("all", ("*",), routes)


def parse(one: VirtualHost) -> pb.VirtualHost:
    return pb.VirtualHost.FromString(virtual_host_bytes(one, one.name, one.hostnames, on_demand=False))


def leaf_for(matcher: object, path: str) -> list[str]:
    """Find the routes that the tree tries for a path, as Envoy does: the longest prefix, else what is left."""
    entries = matcher.matcher_tree.prefix_match_map.map  # type: ignore[attr-defined]
    hits = [key for key in entries if path.startswith(key)]
    found = entries[max(hits, key=len)] if hits else matcher.on_no_match  # type: ignore[attr-defined]
    if not found.HasField("action"):
        return []
    assert found.action.typed_config.type_url == "type.googleapis.com/envoy.config.route.v3.RouteList"
    return [r.name for r in pb.RouteList.FromString(found.action.typed_config.value).routes]


def takes(path: PathMatch, asked: str) -> bool:
    if isinstance(path, PathExact):
        return asked == path.value
    if isinstance(path, PathPrefix):
        prefix = path.value.rstrip("/")
        return asked == prefix or asked.startswith(prefix + "/")
    return asked.startswith("/b/")  # the one expression below


_PATHS = st.one_of(
    st.text("/ab", min_size=1, max_size=4).map(lambda t: PathExact("/" + t)),
    st.text("/ab", max_size=4).map(lambda t: PathPrefix(("/" + t).rstrip("/") or "/")),
    st.just(PathRegex("/b/.*")),
    st.just(PathRegex("[/]b/.*")),
)


@given(st.lists(_PATHS, min_size=TREE_FROM, max_size=TREE_FROM + 10), st.text("/ab", max_size=6).map(lambda t: "/" + t))
def test_tree_chooses_what_the_list_would(paths: list[PathMatch], asked: str) -> None:
    routes = [route(str(n), path) for n, path in enumerate(paths)]
    out = parse(host(*routes))
    by_list = next((r.name for r in routes if takes(r.match.path, asked)), None)
    tried = leaf_for(out.matcher, asked) if out.HasField("matcher") else [r.name for r in out.routes]
    taking = {r.name for r in routes if takes(r.match.path, asked)}
    assert next((name for name in tried if name in taking), None) == by_list


def test_leaf_holds_little_of_many_routes() -> None:
    out = parse(host(*(route(str(n), PathPrefix(f"/r/{n:05}")) for n in range(1000)), route("root", PathPrefix("/"))))
    assert not out.routes
    assert leaf_for(out.matcher, "/r/00999/x") == ["999", "root"]
    assert leaf_for(out.matcher, "/other") == ["root"]


def test_tree_that_would_explode_stays_a_list() -> None:
    routes = [route(f"x{n}", PathRegex(f".*{n}")) for n in range(100)]
    out = parse(host(*routes, *(route(str(n), PathPrefix(f"/{n}")) for n in range(100))))
    assert len(out.routes) == 200


def test_table_ignores_ports_and_hides_our_header() -> None:
    table = route_pb2.RouteConfiguration.FromString(routes_bytes(Routes("t", (host(route("a", PathPrefix("/"))),))))
    assert (table.name, table.ignore_port_in_host_matching) == ("t", True)
    assert list(table.response_headers_to_remove) == ["x-skep-retriable"]
    assert [(h.name, list(h.domains), [r.name for r in h.routes]) for h in table.virtual_hosts] == [
        ("all", ["*"], ["a"])
    ]
    assert outbound_table_message("outbound/shop").vhds.config_source.HasField("ads")


def test_origins_hash_what_came_from_each_declaration() -> None:
    two = [route("a", PathPrefix("/1")), route("a", PathPrefix("/2")), route("b", PathPrefix("/3"))]
    before = dict(origins_of([host(*two)]))
    after = dict(origins_of([host(two[0], route("a", PathPrefix("/4")), two[2])]))
    assert before.keys() == after.keys() == {origin("a"), origin("b")}
    assert before[origin("a")] != after[origin("a")]
    assert before[origin("b")] == after[origin("b")]


def test_mirrors_are_named() -> None:
    forward = Forward((Backend("shop/a:80"),), (Mirror("shop/b:80"), Mirror("")))
    assert mirrors_of(host(Route("r", RequestMatch(), forward, origin("r")))) == ("shop/b:80",)
