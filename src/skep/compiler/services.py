"""Services: which ports exist, which instances serve them, what those speak, and what a reference to one leads to.

In: facts about Services and instances. Out: `Lookup`s, which say why a backend is not there, and instances.
A service exists when a Service names it, or because instances are registered under its name.
"""

import msgspec

from skep.compiler import facts
from skep.compiler.effective import service
from skep.compiler.memo import Memo
from skep.model.instance import Instance
from skep.model.names import SERVICE_LABEL, Namespace, ServiceId, ServiceName
from skep.routing.service import Service, ServicePort

DEFAULT_PORT = 80

PROTOCOLS = {
    "http": "http",
    "kubernetes.io/ws": "http",
    "http2": "http2",
    "h2c": "http2",
    "kubernetes.io/h2c": "http2",
    "grpc": "grpc",
}
_ENCRYPTED = frozenset({"https", "tls", "kubernetes.io/wss", "grpcs"})


class Lookup(msgspec.Struct, frozen=True):
    """Where a reference to a service's port leads, or why it leads nowhere."""

    upstream: str = ""
    """An `Upstream.name`; empty when there is none."""
    reason: str = ""
    """The Gateway API's word for why not."""
    message: str = ""


def find(memo: Memo, namespace: str, name: str, port: int) -> Lookup:
    """Look a service's port up; port 0 is the one that callers mean who name none."""
    declared = service(memo, namespace, name)
    if declared is None:
        return _find_registered(memo, namespace, name, port)
    spec = declared.body.spec
    if not spec.ports:
        if spec.type == "ExternalName":
            return Lookup(upstream_name(namespace, name, port or DEFAULT_PORT))
        return _find_registered(memo, namespace, name, port, declared=True)
    chosen = declared_port(declared.body, port)
    if chosen is None:
        has = ", ".join(str(item.port) for item in spec.ports)
        return _missing(f"Service {namespace}/{name} has no TCP port {port or DEFAULT_PORT}; it has {has}")
    if chosen.app_protocol in _ENCRYPTED:
        said = f"Service {namespace}/{name} port {chosen.port}: appProtocol {chosen.app_protocol} is not supported"
        return Lookup(reason="UnsupportedProtocol", message=said)
    return Lookup(upstream_name(namespace, name, chosen.port))


def serving(memo: Memo, name: str) -> tuple[Instance, ...]:
    """Return the instances that serve an upstream, whatever their health."""
    parsed = parse_upstream_name(name)
    if parsed is None:
        return ()
    namespace, service_name, port = parsed
    found = _selected(memo, namespace, service_name)
    declared = service(memo, namespace, service_name)
    ports = declared.body.spec.ports if declared is not None else ()
    if not ports:
        return found if port == DEFAULT_PORT else tuple(item for item in found if application_port(item) == port)
    if len(ports) == 1:
        return found if ports[0].port == port else ()
    targets = {_target(item): item.port for item in reversed(ports)}
    return tuple(item for item in found if targets.get(application_port(item), ports[0].port) == port)


def spoken(memo: Memo, name: str) -> str:
    """Return the protocol that all instances of an upstream registered with; http when they differ or are none."""
    protocols = {instance.protocol for instance in memo.get(serving, name)}
    return protocols.pop() if len(protocols) == 1 else "http"


def registered_ports(memo: Memo, namespace: str, name: str) -> frozenset[int]:
    """Return the ports that the applications behind a name listen on, or did a short while ago; empty for no such name."""
    found = frozenset(application_port(instance) for instance in _selected(memo, namespace, name))
    return found or facts.remembered(memo, ServiceId(Namespace(namespace), ServiceName(name)))


def port_names(memo: Memo, namespace: str, name: str) -> tuple[tuple[int, str], ...]:
    """Return a Service's ports with their names."""
    declared = service(memo, namespace, name)
    return tuple((item.port, item.name) for item in declared.body.spec.ports) if declared is not None else ()


def application_port(instance: Instance) -> int:
    """Return the port the application itself listens on."""
    return instance.target_port or instance.port


def upstream_name(namespace: str, name: str, port: int) -> str:
    """Name the upstream of a service's port."""
    return f"{namespace}/{name}:{port}"


def parse_upstream_name(name: str) -> tuple[str, str, int] | None:
    """Read `namespace/service:port`, or return None."""
    namespace, slash, rest = name.partition("/")
    service_name, colon, port = rest.rpartition(":")
    if not (namespace and slash and service_name and colon) or not (port.isascii() and port.isdigit()) or len(port) > 5:
        return None
    return namespace, service_name, int(port)


def _find_registered(memo: Memo, namespace: str, name: str, port: int, *, declared: bool = False) -> Lookup:
    ports = memo.get(registered_ports, namespace, name)
    if not ports and not declared:
        return _missing(f"there is no Service {namespace}/{name}, and no instance is registered under that name")
    if port in (0, DEFAULT_PORT):
        return Lookup(upstream_name(namespace, name, DEFAULT_PORT))
    if port in ports:
        return Lookup(upstream_name(namespace, name, port))
    return _missing(f"no instance of {namespace}/{name} listens on port {port}")


def _missing(message: str) -> Lookup:
    return Lookup(reason="BackendNotFound", message=message)


def declared_port(body: Service, port: int) -> ServicePort | None:
    """Return the TCP port of that number; for 0 the usual one, or else the first."""
    ports = [item for item in body.spec.ports if item.protocol == "TCP"]
    for item in ports:
        if item.port == (port or DEFAULT_PORT):
            return item
    return ports[0] if ports and port == 0 else None


def _target(port: ServicePort) -> int:
    return port.target_port if isinstance(port.target_port, int) else port.port


def _selected(memo: Memo, namespace: str, name: str) -> tuple[Instance, ...]:
    declared = service(memo, namespace, name)
    if declared is not None and declared.body.spec.type == "ExternalName":
        return ()
    selector = declared.body.spec.selector if declared is not None else None
    if not selector:
        return facts.members(memo, ServiceId(Namespace(namespace), ServiceName(name)))
    key = SERVICE_LABEL if SERVICE_LABEL in selector else min(selector)
    wanted = selector.items()
    return tuple(
        instance
        for instance in facts.labelled(memo, Namespace(namespace), key, selector[key])
        if all(instance.labels.get(label) == value for label, value in wanted)
    )
