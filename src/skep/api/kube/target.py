"""What a request to the resource API is about: its path as kind, version, namespace, name and subresource. Pure."""

from collections.abc import Sequence

import msgspec

from skep.api.errors import Subject
from skep.kinds import KINDS, Kind
from skep.store.backend import Key

_SERVED = {(kind.group, version, kind.plural): kind for kind in KINDS for version in kind.versions}
_NAMESPACE_PARTS = ("status", "finalize")


class Target(msgspec.Struct, frozen=True):
    """The object or the collection that a path names."""

    kind: Kind
    version: str
    namespace: str = ""
    """Empty for cluster-scoped kinds, and for a collection over all namespaces."""
    name: str = ""
    """Empty for a collection."""
    subresource: str = ""

    @property
    def key(self) -> Key:
        """Where the object is kept."""
        return Key(self.kind.resource, self.namespace, self.name)

    @property
    def about(self) -> Subject:
        """What errors say they are about."""
        return Subject(self.kind.group, self.kind.kind, self.kind.plural, self.name)

    @property
    def api_version(self) -> str:
        """The `apiVersion` the caller speaks."""
        return self.kind.api_version_at(self.version)

    @property
    def missing(self) -> str:
        """Say that the object does not exist, as Kubernetes words it."""
        return f'{self.kind.resource} "{self.name}" not found'


def parse_target(group: str, version: str, path: str) -> Target | None:
    """Read the part of a path after its version; None when nothing is served there."""
    parts = path.strip("/").split("/")
    namespace = ""
    if parts[0] == "namespaces" and len(parts) >= 3 and not (len(parts) == 3 and parts[2] in _NAMESPACE_PARTS):
        namespace, parts = parts[1], parts[2:]
        if not namespace:
            return None
    return _target(group, version, namespace, parts)


def _target(group: str, version: str, namespace: str, parts: Sequence[str]) -> Target | None:
    kind = _SERVED.get((group, version, parts[0]))
    if kind is None or len(parts) > 3 or any(not part for part in parts):
        return None
    if (namespace and not kind.namespaced) or (len(parts) > 1 and kind.namespaced and not namespace):
        return None
    subresource = parts[2] if len(parts) == 3 else ""
    if subresource not in subresources(kind):
        return None
    return Target(kind, version, namespace, parts[1] if len(parts) > 1 else "", subresource)


def subresources(kind: Kind) -> tuple[str, ...]:
    """List what is served below an object of a kind; the object itself is the empty one."""
    found = ["", *(["status"] if kind.status else [])]
    if kind.resource == "deployments.apps":
        found.append("scale")
    if kind.resource == "pods":
        found.append("log")
    if kind.resource == "namespaces":
        found.append("finalize")
    return tuple(found)
