"""What a Gateway's proxy listens on, the routes of each of its servers, and the upstreams those need.

In: listeners, attached routes. Out: `EdgePort`, `Routes`, names. The table of a server is merged from units of one
hostname each, so that a change of one route rebuilds its hostnames and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from skep.compiler import facts
from skep.compiler.actions import Entry
from skep.compiler.addresses import addresses_of
from skep.compiler.attachment import attachments, covers, find_listener
from skep.compiler.certificates import certificate
from skep.compiler.effective import gateway
from skep.compiler.listeners import ListenerView, listeners
from skep.compiler.memo import Memo
from skep.compiler.routes import compiled, merged, upstreams_of
from skep.ir.edge import EdgePort, Routes, Server
from skep.ir.match import RequestMatch
from skep.ir.route import Origin, Respond, Route, VirtualHost
from skep.model.names import GATEWAY_GROUP, ObjectRef
from skep.model.node import Address

__all__ = ["certificate", "edge_ports", "edge_routes", "edge_upstreams"]

MISDIRECTED = 421


class ServerName(msgspec.Struct, frozen=True):
    """A server's name, read."""

    gateway: ObjectRef
    port: int
    listener: str = ""
    """Set for TLS, where each listener has a server of its own."""


def edge_ports(memo: Memo, ref: ObjectRef) -> tuple[EdgePort, ...]:
    """Return what a Gateway's proxy listens on, sorted by name; nothing for a Gateway that is not ours."""
    declared = gateway(memo, ref)
    if declared is None:
        return ()
    servers: dict[int, list[Server]] = {}
    first: dict[int, ListenerView] = {}
    for view in memo.get(listeners, ref):
        if not view.live:
            continue
        of_port = servers.setdefault(view.port, [])
        first.setdefault(view.port, view)
        if view.tls:
            names = (view.hostname,) if view.hostname else ()
            of_port.append(Server(f"{port_name(ref, view.port)}/{view.name}", names, view.certificates))
        elif not of_port:
            of_port.append(Server(port_name(ref, view.port)))
    found = []
    for place, address in enumerate(memo.get(addresses_of, ref)):
        for port, of_port in servers.items():
            name = port_name(ref, port) + (f"@{address}" if place else "")
            origin = Origin(ref, declared.meta.generation, f"spec.listeners[{first[port].index}]")
            found.append(EdgePort(name, Address(address, port), tuple(of_port), origin))
    return tuple(sorted(found, key=lambda item: item.name))


def edge_routes(memo: Memo, server_name: str) -> Routes | None:
    """Return the table of routes of a server, or None when there is no such server."""
    server = parse_server_name(server_name)
    if server is None or not memo.get(is_live, server):
        return None
    hosts = [memo.get(virtual_host, server, hostname) for hostname in memo.get(hostnames_of, server)]
    return Routes(server_name, (*hosts, *memo.get(misdirected, server)))


def edge_upstreams(memo: Memo, ref: ObjectRef) -> tuple[str, ...]:
    """Return the upstreams that the routes of a Gateway send to, sorted."""
    live = memo.get(live_listeners, ref)
    found: set[str] = set()
    for route in facts.attached(memo, ref):
        if any(taken.listener in live for taken in memo.get(attachments, route, ref)):
            found.update(memo.get(upstreams_of, route))
    return tuple(sorted(found))


def port_name(ref: ObjectRef, port: int) -> str:
    """Name a port of a Gateway."""
    return f"gateway/{ref.namespace}/{ref.name}/{port}"


def parse_server_name(name: str) -> ServerName | None:
    """Read `gateway/namespace/name/port[/listener]`, or return None."""
    parts = name.split("/")
    if len(parts) not in (4, 5) or parts[0] != "gateway" or not (parts[3].isascii() and parts[3].isdigit()):
        return None
    ref = ObjectRef(GATEWAY_GROUP, "Gateway", parts[1], parts[2])
    return ServerName(ref, int(parts[3][:6]), parts[4] if len(parts) == 5 else "")


def live_listeners(memo: Memo, ref: ObjectRef) -> frozenset[str]:
    """Return the names of the listeners that are served."""
    return frozenset(view.name for view in memo.get(listeners, ref) if view.live)


def is_live(memo: Memo, server: ServerName) -> bool:
    """Tell whether some listener is served by this server."""
    return any(True for _ in _served(memo, server))


def hosts_of(memo: Memo, server: ServerName) -> Mapping[str, tuple[ObjectRef, ...]]:
    """Return which routes answer for each hostname of a server, sorted by hostname and by route.

    A hostname belongs to the most specific listener of the port that covers it: routes that came by another are not
    reached there. Listeners with a hostname of their own hold it even with no route, so that no other answers for it.
    """
    views = {view.name: view for view in _served(memo, server)}
    rivals = [view for view in memo.get(listeners, server.gateway) if view.live and view.port == server.port]
    found: dict[str, set[ObjectRef]] = {view.hostname: set() for view in views.values() if view.hostname}
    for route in facts.attached(memo, server.gateway):
        for taken in memo.get(attachments, route, server.gateway):
            view = views.get(taken.listener)
            if view is None:
                continue
            for hostname in taken.hostnames:
                if len(rivals) == 1 or _owner(rivals, hostname) == view.name:
                    found.setdefault(hostname, set()).add(route)
    return {hostname: tuple(sorted(found[hostname])) for hostname in sorted(found)}


def hostnames_of(memo: Memo, server: ServerName) -> tuple[str, ...]:
    """Return the hostnames of a server, sorted."""
    return tuple(memo.get(hosts_of, server))


def routes_at(memo: Memo, server: ServerName, hostname: str) -> tuple[ObjectRef, ...]:
    """Return the routes that answer for one hostname of a server."""
    return memo.get(hosts_of, server).get(hostname, ())


def virtual_host(memo: Memo, server: ServerName, hostname: str) -> VirtualHost:
    """Return what a server does for one hostname."""
    entry = Entry("https" if server.listener else "http", server.port)
    parts = [memo.get(compiled, ref, entry) for ref in memo.get(routes_at, server, hostname)]
    shown = hostname or "*"
    return VirtualHost(f"{_name(server)}/{shown}", (shown,), merged(parts))


def misdirected(memo: Memo, server: ServerName) -> tuple[VirtualHost, ...]:
    """Return what a TLS server says to requests for the hosts of the port's other listeners: 421, as the API asks."""
    declared = gateway(memo, server.gateway)
    if not server.listener or declared is None:
        return ()
    own = set(memo.get(hostnames_of, server))
    found = []
    for view in memo.get(listeners, server.gateway):
        shown = view.hostname or "*"
        if view.live and view.port == server.port and view.name != server.listener and view.hostname not in own:
            origin = Origin(server.gateway, declared.meta.generation, f"spec.listeners[{view.index}]")
            name = f"Gateway/{server.gateway.namespace}/{server.gateway.name}/{view.index}/0"
            elsewhere = Route(name, RequestMatch(), Respond(MISDIRECTED), origin)
            found.append(VirtualHost(f"{_name(server)}/{shown}", (shown,), (elsewhere,)))
    return tuple(found)


def _served(memo: Memo, server: ServerName) -> Iterator[ListenerView]:
    """Yield the live listeners of a server: one with TLS, else all plain ones of the port."""
    views = memo.get(listeners, server.gateway)
    if server.listener:
        view = find_listener(views, server.listener)
        if view is not None and view.live and view.tls and view.port == server.port:
            yield view
        return
    for view in views:
        if view.live and not view.tls and view.port == server.port:
            yield view


def _owner(views: Sequence[ListenerView], hostname: str) -> str:
    """Return the most specific listener that covers a hostname."""
    covering = [view for view in views if covers(view.hostname, hostname)]
    return max(covering, key=_specificity).name if covering else ""


def _specificity(view: ListenerView) -> tuple[bool, int]:
    return bool(view.hostname) and not view.hostname.startswith("*"), len(view.hostname)


def _name(server: ServerName) -> str:
    name = port_name(server.gateway, server.port)
    return f"{name}/{server.listener}" if server.listener else name
