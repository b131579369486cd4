"""Arbitrary but valid worlds for property tests: routes, gateways, services, grants and instances that refer to each other."""

from typing import Any

from hypothesis import strategies as st

from skep.model.instance import Instance
from tests.support.declared import running
from tests.support.manifests import Document, gateway, gateway_class, grant, http_route, listener, service, violations

NAMESPACES = st.sampled_from(["default", "shop"])
SERVICES = st.sampled_from(["orders", "orders", "coupons", "gone"])
HOSTNAMES = st.sampled_from(["shop.example", "*.shop.example", "api.shop.example", "*.example", "other.test"])

_paths = st.builds(
    lambda kind, value: {"type": kind, "value": value},
    st.sampled_from(["Exact", "PathPrefix", "RegularExpression"]),
    st.sampled_from(["/", "/a", "/a/", "/a/b", "/orders/[0-9]+", "/.*"]),
)
_values = st.lists(
    st.sampled_from(
        [
            {"name": "x-a", "value": "1"},
            {"name": "X-B", "value": "b.*", "type": "RegularExpression"},
            {"name": "x-c", "value": "c"},
        ]
    ),
    max_size=2,
)
_matches = st.fixed_dictionaries(
    {},
    optional={"path": _paths, "headers": _values, "queryParams": _values, "method": st.sampled_from(["GET", "POST"])},
)
_filters = st.sampled_from(
    [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x", "value": "y"}]}},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["x"]}},
        {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "coupons", "port": 80}, "percent": 5}},
        {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}},
        {"type": "RequestRedirect", "requestRedirect": {"hostname": "other.test", "statusCode": 301}},
        {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}}},
        {"type": "URLRewrite", "urlRewrite": {"hostname": "other.test"}},
        {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "Guard", "name": "a"}},
        {"type": "CORS", "cors": {}},
    ]
)
_backends = st.fixed_dictionaries(
    {"name": SERVICES, "port": st.sampled_from([80, 81, 9000])},
    optional={
        "namespace": NAMESPACES,
        "weight": st.integers(0, 3),
        "filters": st.lists(_filters, max_size=1),
        "kind": st.sampled_from(["Service", "Bucket"]),
    },
)
_rules = st.fixed_dictionaries(
    {},
    optional={
        "matches": st.lists(_matches, max_size=3),
        "filters": st.lists(_filters, max_size=2),
        "backendRefs": st.lists(_backends, max_size=3),
        "timeouts": st.just({"request": "10s", "backendRequest": "1s"}),
    },
)
_parents = st.one_of(
    st.just({"name": "edge", "namespace": "default"}),
    st.just({"name": "edge", "namespace": "default"}),
    st.just({"group": "", "kind": "Service", "name": "orders"}),
    st.fixed_dictionaries(
        {"name": st.sampled_from(["edge", "gone"])},
        optional={
            "namespace": NAMESPACES,
            "sectionName": st.sampled_from(["a", "b", "gone"]),
            "port": st.sampled_from([8080, 8443]),
        },
    ),
    st.fixed_dictionaries(
        {"group": st.just(""), "kind": st.just("Service"), "name": SERVICES},
        optional={"namespace": NAMESPACES, "port": st.sampled_from([80, 81]), "sectionName": st.just("http")},
    ),
    st.just({"group": "example.com", "kind": "Mesh", "name": "a"}),
)


def _valid(document: Document) -> bool:
    return not violations(document)


def routes(name: str) -> st.SearchStrategy[Document]:
    """Draw a valid HTTPRoute."""

    def build(namespace: str, parents: list[Any], hostnames: list[str], rules: list[Any], created: str) -> Document:
        made = http_route(name, namespace, parentRefs=parents, hostnames=hostnames, rules=rules)
        made["metadata"]["creationTimestamp"] = created
        return made

    return st.builds(
        build,
        NAMESPACES,
        st.lists(_parents, min_size=1, max_size=3),
        st.one_of(st.just([]), st.lists(HOSTNAMES, max_size=3)),
        st.lists(_rules, min_size=1, max_size=3),
        st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]),
    ).filter(_valid)


_listeners = st.lists(
    st.builds(
        lambda name, port, protocol, hostname, source: listener(
            name,
            port,
            protocol,
            allowedRoutes={"namespaces": {"from": source}},
            **({"hostname": hostname} if hostname else {}),
            **({"tls": {"certificateRefs": [{"name": "gone"}]}} if protocol == "HTTPS" else {}),
        ),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([8080, 8443]),
        st.sampled_from(["HTTP", "HTTP", "HTTP", "http", "HTTPS", "TCP"]),
        st.one_of(st.just(""), st.just(""), HOSTNAMES),
        st.sampled_from(["All", "All", "Same"]),
    ),
    min_size=1,
    max_size=4,
)
gateways = st.builds(lambda listed: gateway(*listed), _listeners).filter(_valid)
services = st.builds(
    service,
    st.sampled_from(["orders", "coupons"]),
    NAMESPACES,
    ports=st.sampled_from(
        [
            [{"port": 80}],
            [{"name": "http", "port": 80, "targetPort": 9000}, {"name": "b", "port": 81, "appProtocol": "grpc"}],
            [{"port": 80, "appProtocol": "https"}],
        ]
    ),
    selector=st.sampled_from([{}, {"app": "x"}]),
)
grants = st.builds(
    lambda namespace, kind: grant(
        namespace, [("gateway.networking.k8s.io", "HTTPRoute", "shop"), ("", kind, "default")]
    ),
    NAMESPACES,
    st.sampled_from(["Service", "Secret"]),
)
instances = st.lists(
    st.builds(
        lambda service_name, name, namespace, target: running(
            service_name, name, namespace, 20001, target_port=target, labels={"app": "x"}
        ),
        st.sampled_from(["orders", "coupons"]),
        st.sampled_from(["a", "b"]),
        NAMESPACES,
        st.sampled_from([0, 9000]),
    ),
    max_size=4,
    unique_by=lambda instance: instance.key,
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Document], list[Instance]]:
    """Draw documents, all valid and named apart, and instances."""
    declared = [
        gateway_class(),
        draw(gateways),
        *draw(st.lists(services, max_size=3)),
        *draw(st.lists(grants, max_size=1)),
    ]
    declared += [draw(routes(f"route-{index}")) for index in range(draw(st.integers(1, 5)))]
    named = {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): item for item in declared}
    return list(named.values()), draw(instances)
