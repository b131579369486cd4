"""Manifests in a few words, and arbitrary ones for property tests."""

from typing import Any

from hypothesis import strategies as st

from skep.kinds import kind_for, parse
from skep.model.names import GATEWAY_GROUP

Document = dict[str, Any]
V1 = f"{GATEWAY_GROUP}/v1"


def http_route(name: str = "shop", namespace: str = "default", **spec: Any) -> Document:
    """Write an HTTPRoute."""
    return {"apiVersion": V1, "kind": "HTTPRoute", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def to(name: str, port: int = 80, **more: Any) -> Document:
    """Write a backend reference."""
    return {"name": name, "port": port, **more}


def service(name: str, namespace: str = "default", **spec: Any) -> Document:
    """Write a Service, on port 80 unless told otherwise."""
    body = spec or {"ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": body}


def gateway_class(controller: str = "skep.dev/gateway-controller", name: str = "skep") -> Document:
    """Write a GatewayClass."""
    return {
        "apiVersion": V1,
        "kind": "GatewayClass",
        "metadata": {"name": name},
        "spec": {"controllerName": controller},
    }


def gateway(*listeners: Document, name: str = "edge", namespace: str = "default", **spec: Any) -> Document:
    """Write a Gateway; without listeners it has a plain one on 8080."""
    listed = list(listeners) or [listener()]
    body = {"gatewayClassName": "skep", "listeners": listed, **spec}
    return {"apiVersion": V1, "kind": "Gateway", "metadata": {"name": name, "namespace": namespace}, "spec": body}


def listener(name: str = "http", port: int = 8080, protocol: str = "HTTP", **more: Any) -> Document:
    """Write a listener."""
    return {"name": name, "port": port, "protocol": protocol, **more}


def grant(namespace: str, sources: list[tuple[str, str, str]], *names: str, kind: str = "Service") -> Document:
    """Write a ReferenceGrant: sources are group, kind and namespace."""
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "grant", "namespace": namespace},
        "spec": {
            "from": [{"group": group, "kind": kind_of, "namespace": source} for group, kind_of, source in sources],
            "to": [{"group": "", "kind": kind, "name": name} for name in names] or [{"group": "", "kind": kind}],
        },
    }


def violations(document: Document) -> list[str]:
    """Return every violation of a document as `path: message`, sorted; none for a good one."""
    group, _, _ = document["apiVersion"].rpartition("/")
    kind = kind_for(group, document["kind"])
    assert kind is not None
    found = parse(kind, document)
    return [str(violation) for violation in found] if isinstance(found, list) else []


def paths(document: Document) -> list[str]:
    """Return the paths of a document's violations, sorted."""
    return sorted({line.partition(": ")[0] for line in violations(document)})


hostile_text = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "a" * 5000, "/" * 2000, "(" * 800, "\x00", "\ud800", "*.", "a{1000}{1000}", "1e999", "🦄" * 99]
    ),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), hostile_text, st.integers(min_value=2**70)
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(hostile_text, inner, max_size=4)),
    max_leaves=12,
)


def deep(levels: int = 200) -> Any:
    """Return something nested deeply."""
    value: Any = "x"
    for _ in range(levels):
        value = {"a": [value]}
    return value
