"""Virtual hosts and tables of routes: IR -> bytes. Puts them together from routes that were serialised before, so that a
change of one route among thousands costs little, and gives large ones a tree in place of a list, so that the last route is
found as fast as the first. Never changes which route decides.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec
from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.config.route.v3 import route_pb2

from skep.ir.edge import Routes
from skep.ir.route import Origin, Route, VirtualHost
from skep.xds.translate.filters import ON_DEMAND, ads, input_of, on_demand_route
from skep.xds.translate.match import literal_start, takes_whole_elements
from skep.xds.translate.names import RETRIABLE_HEADER
from skep.xds.translate.retry import default_retry
from skep.xds.translate.route import mirrored_upstreams, translate_route
from skep.xds.translate.wire import any_bytes, digest, field, serialize, type_url

TREE_FROM = 33
"""Routes in a virtual host from which on a tree pays."""
_COPIES = 8
"""How many times over a tree may list its routes; beyond that the plain list is kept."""


class RoutePart(msgspec.Struct, frozen=True):
    """A route, serialised."""

    payload: bytes
    digest: str
    start: str
    """What every path it takes begins with."""
    whole: bool
    """What follows the start can only be the path's end, a slash or a query."""
    mirrors: tuple[str, ...]
    entry: bytes
    """Its leaf in a tree, when no other route could take its paths."""


@lru_cache(maxsize=32768)
def route_part(route: Route) -> RoutePart:
    """Serialise a route; the same route is done once."""
    payload = serialize(translate_route(route))
    start = literal_start(route.match)
    whole = takes_whole_elements(route.match)
    return RoutePart(payload, digest(payload), start, whole, mirrored_upstreams(route), _entry(start, (payload,)))


def virtual_host_bytes(host: VirtualHost, name: str, domains: Sequence[str], *, on_demand: bool) -> bytes:
    """Serialise a virtual host under a name, for the given domains."""
    head = pb.VirtualHost(name=name, domains=domains, retry_policy=default_retry())
    if on_demand:
        head.typed_per_filter_config[ON_DEMAND].CopyFrom(on_demand_route())
    parts = [route_part(route) for route in host.routes]
    tree = _tree(parts) if len(parts) >= TREE_FROM else None
    if tree is not None:
        return serialize(head) + field(_MATCHER, tree)
    return serialize(head) + b"".join([field(_ROUTES, part.payload) for part in parts])


def routes_bytes(routes: Routes) -> bytes:
    """Serialise a gateway's table: hostnames count without the port a client may add."""
    head = route_pb2.RouteConfiguration(
        name=routes.name, ignore_port_in_host_matching=True, response_headers_to_remove=[RETRIABLE_HEADER]
    )
    hosts = [
        field(_VIRTUAL_HOSTS, virtual_host_bytes(host, host.name, host.hostnames, on_demand=False))
        for host in routes.virtual_hosts
    ]
    return serialize(head) + b"".join(hosts)


def outbound_table_message(name: str) -> route_pb2.RouteConfiguration:
    """Build the table of sidecars: empty, each virtual host is fetched when it is first called."""
    table = route_pb2.RouteConfiguration(name=name, response_headers_to_remove=[RETRIABLE_HEADER])
    table.vhds.config_source.CopyFrom(ads())
    return table


def origins_of(hosts: Iterable[VirtualHost]) -> tuple[tuple[Origin, str], ...]:
    """List the declarations behind the routes, each with a hash of all that came from it."""
    digests: dict[Origin, list[str]] = {}
    for host in hosts:
        for route in host.routes:
            digests.setdefault(route.origin, []).append(route_part(route).digest)
    return tuple((o, d[0] if len(d) == 1 else digest("".join(d).encode())) for o, d in sorted(digests.items()))


def mirrors_of(host: VirtualHost) -> tuple[str, ...]:
    """Name the upstreams that get copies of requests to this host."""
    return tuple(sorted({name for route in host.routes for name in route_part(route).mirrors}))


# The tree: a prefix map over the path, whose leaf for a prefix lists, in order, every route that could take a path whose
# longest prefix in the map is that one: those that begin with the prefix itself or with a part of it (`/a` is none of `/ab`).

_ROUTES = pb.VirtualHost.DESCRIPTOR.fields_by_name["routes"].number
_MATCHER = pb.VirtualHost.DESCRIPTOR.fields_by_name["matcher"].number
_VIRTUAL_HOSTS = route_pb2.RouteConfiguration.DESCRIPTOR.fields_by_name["virtual_hosts"].number
_LIST_ROUTES = pb.RouteList.DESCRIPTOR.fields_by_name["routes"].number
_LIST_URL = type_url(pb.RouteList)
_NAME, _TYPED_CONFIG = 1, 2  # of xds.core.v3.TypedExtensionConfig
_ON_MATCH_ACTION = 2  # of xds.type.matcher.v3.Matcher.OnMatch
_TREE_INPUT, _TREE_PREFIXES = 1, 3  # of xds.type.matcher.v3.Matcher.MatcherTree
_MATCHER_TREE, _MATCHER_NO_MATCH = 2, 3  # of xds.type.matcher.v3.Matcher
_MAP, _KEY, _VALUE = 1, 1, 2
_ELEMENT_END = re.compile(r"[/?#]")
_FEW = 16


def _tree(parts: Sequence[RoutePart]) -> bytes | None:
    by_start: dict[str, list[int]] = {}
    whole: dict[str, list[int]] = {}
    open_: dict[str, list[int]] = {}
    for index, part in enumerate(parts):
        by_start.setdefault(part.start, []).append(index)
        (whole if part.whole else open_).setdefault(part.start, []).append(index)
    leaves: dict[str, list[int]] = {}
    room = _COPIES * len(parts)
    for start, own in by_start.items():
        leaf = _leaf(start, own, whole, open_)
        room -= len(leaf)
        if room < 0:
            return None
        leaves[start] = leaf
    rest = leaves.pop("", [])
    if not leaves:
        return None
    entries = [
        parts[leaf[0]].entry if len(leaf) == 1 else _entry(start, [parts[index].payload for index in leaf])
        for start, leaf in sorted(leaves.items())
    ]
    tree = field(_TREE_INPUT, serialize(input_of(":path"))) + field(_TREE_PREFIXES, b"".join(entries))
    matcher = field(_MATCHER_TREE, tree)
    if not rest:
        return matcher
    return matcher + field(_MATCHER_NO_MATCH, _on_match([parts[index].payload for index in rest]))


def _entry(start: str, routes: Sequence[bytes]) -> bytes:
    return field(_MAP, field(_KEY, start.encode()) + field(_VALUE, _on_match(routes)))


def _leaf(start: str, own: list[int], whole: Mapping[str, list[int]], open_: Mapping[str, list[int]]) -> list[int]:
    # Few are tried each; of many, those are looked up that the start can begin with.
    shorter = (
        (part for part in open_ if part != start) if len(open_) <= _FEW else (start[:n] for n in range(len(start)))
    )
    found = [own, *(open_[part] for part in shorter if part in open_ and start.startswith(part))]
    ends = (match.start() for match in _ELEMENT_END.finditer(start))
    found += [whole[start[:end]] for end in ends if start[:end] in whole]
    return own if len(found) == 1 else sorted(index for indexes in found for index in indexes)


def _on_match(routes: Sequence[bytes]) -> bytes:
    listed = b"".join([field(_LIST_ROUTES, route) for route in routes])
    action = field(_NAME, b"routes") + field(_TYPED_CONFIG, any_bytes(_LIST_URL, listed))
    return field(_ON_MATCH_ACTION, action)
