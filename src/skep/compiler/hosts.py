"""What `http://authority/` means to a caller inside the mesh: the service of that name, by its routes or as it is.

In: the caller's namespace and what it called. Out: a `VirtualHost`, or None for a name that means nothing to it.
"""

from skep.compiler.effective import service, service_ref
from skep.compiler.memo import Memo
from skep.compiler.mesh import governing_routes
from skep.compiler.references import may_call
from skep.compiler.routes import NO_ENTRY, compiled, merged
from skep.compiler.services import DEFAULT_PORT, find, parse_upstream_name
from skep.ir.match import RequestMatch
from skep.ir.route import Backend, Forward, Origin, Route, VirtualHost
from skep.model.names import Namespace, is_dns_label

_SUFFIXES = (("svc", "cluster", "local"), ("svc",), ())


def outbound_host(memo: Memo, namespace: Namespace, authority: str) -> VirtualHost | None:
    """Return what a caller's request to an authority goes through; None when the authority means nothing to it."""
    parsed = parse_authority(namespace, authority)
    if parsed is None:
        return None
    host, target, name, port = parsed
    routes = memo.get(service_routes, namespace, target, name, port)
    return None if routes is None else VirtualHost(f"{namespace}/{authority}", (host,), routes)


def parse_authority(namespace: str, authority: str) -> tuple[str, str, str, int] | None:
    """Read an authority into host, namespace, service and port (0 for the usual one); None when it is none of ours."""
    host, colon, digits = authority.lower().partition(":")
    if colon and not (digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) <= 65535):
        return None
    labels = tuple(host.removesuffix(".").split("."))
    if not all(is_dns_label(label) for label in labels):
        return None
    port = int(digits) if colon else 0
    port = 0 if port == DEFAULT_PORT else port
    if len(labels) == 1:
        return host, namespace, labels[0], port
    for suffix in _SUFFIXES:
        if len(labels) == 2 + len(suffix) and labels[2:] == suffix:
            return host, labels[1], labels[0], port
    return None


def service_routes(memo: Memo, caller: str, namespace: str, name: str, port: int) -> tuple[Route, ...] | None:
    """Return the routes that a namespace's calls to a service's port take; None when it may not call it."""
    lookup = memo.get(find, namespace, name, port)
    if lookup.reason == "BackendNotFound" or not (reached := lookup.upstream):
        return None
    parsed = parse_upstream_name(reached)
    assert parsed is not None
    governing = memo.get(governing_routes, caller, namespace, name, parsed[2])
    if governing:
        return merged([memo.get(compiled, ref, NO_ENTRY) for ref in governing])
    if not may_call(memo, caller, service_ref(namespace, name)):
        return None
    declared = service(memo, namespace, name)
    origin = Origin(service_ref(namespace, name), declared.meta.generation if declared is not None else 0)
    return (Route(f"Service/{namespace}/{name}/0/0", RequestMatch(), Forward((Backend(reached),)), origin),)
