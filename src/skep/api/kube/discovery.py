"""What is served, told to clients: /api, /apis and their versions, in the old form and the aggregated one. Pure."""

from collections.abc import Iterator
from typing import Any

from skep.api.kube.target import subresources
from skep.kinds import KINDS, Kind

Document = dict[str, Any]
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")


def groups() -> dict[str, tuple[str, ...]]:
    """Return the versions of each named group, the preferred one first."""
    found: dict[str, dict[str, None]] = {}
    for kind in KINDS:
        found.setdefault(kind.group, {}).update(dict.fromkeys(kind.versions))
    # v1 before v1beta1 before v1alpha1: a stable version is what clients should see first.
    return {group: tuple(sorted(versions, key=_maturity)) for group, versions in found.items()}


def core_versions(host: str) -> Document:
    """Answer GET /api."""
    address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}


def group_list() -> Document:
    """Answer GET /apis."""
    listed = [_group(name, versions) for name, versions in groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(name: str) -> Document | None:
    """Answer GET /apis/{group}."""
    versions = groups().get(name) if name else None
    return None if versions is None else {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def resource_list(name: str, version: str) -> Document | None:
    """Answer GET /api/v1 and /apis/{group}/{version}."""
    if version not in groups().get(name, ()):
        return None
    resources = [entry for kind in _kinds(name, version) for entry in _resources(kind)]
    document = {"kind": "APIResourceList", "groupVersion": f"{name}/{version}" if name else version}
    return {"apiVersion": "v1", **document, "resources": resources}


def aggregated(*, core: bool) -> Document:
    """Answer /api or /apis for a client that asks for everything in one document."""
    items = [
        {
            "metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
            "versions": [
                {
                    "version": version,
                    "freshness": "Current",
                    "resources": [_discovered(k) for k in _kinds(name, version)],
                }
                for version in versions
            ],
        }
        for name, versions in groups().items()
        if bool(name) is not core
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def verbs(kind: Kind) -> tuple[str, ...]:
    """List what may be asked of a kind by people."""
    return _READ if kind.read_only else tuple(sorted((*_READ, *_WRITE)))


def _maturity(version: str) -> tuple[int, str]:
    return (2 if "alpha" in version else 1 if "beta" in version else 0), version


def _kinds(name: str, version: str) -> Iterator[Kind]:
    return (kind for kind in KINDS if kind.group == name and version in kind.versions)


def _group(name: str, versions: tuple[str, ...]) -> Document:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(kind: Kind) -> Iterator[Document]:
    entry: Document = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(verbs(kind)),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    yield entry
    for name in subresources(kind)[1:]:
        group_name, version, shown, allowed = _subresource(kind, name)
        below: Document = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
        if group_name:
            below |= {"group": group_name, "version": version}
        yield {**below, "kind": shown, "verbs": list(allowed)}


def _discovered(kind: Kind) -> Document:
    entry: Document = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": "", "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(verbs(kind)),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    below = []
    for name in subresources(kind)[1:]:
        group_name, version, shown, allowed = _subresource(kind, name)
        response = {"group": group_name or kind.group, "version": version, "kind": shown}
        below.append({"subresource": name, "responseKind": response, "verbs": list(allowed)})
    return {**entry, "subresources": below} if below else entry


def _subresource(kind: Kind, name: str) -> tuple[str, str, str, tuple[str, ...]]:
    if name == "scale":
        return "autoscaling", "v1", "Scale", ("get", "patch", "update")
    if name == "log":
        return "", "", kind.kind, ("get",)
    if name == "finalize":
        return "", "", kind.kind, ("update",)
    return "", "", kind.kind, ("get",) if kind.read_only else ("get", "patch", "update")
