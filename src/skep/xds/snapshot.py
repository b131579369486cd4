"""What can be sent to proxies: encoded resources, what a stream asks for, and where the answers come from. Pure."""

from typing import Protocol

import msgspec

from skep.ir.route import Origin
from skep.model.names import Namespace
from skep.model.node import Node, SidecarNode

WILDCARD = "*"


class Encoded(msgspec.Struct, frozen=True):
    """One resource, serialised once and shared by every stream that gets it."""

    name: str
    version: str
    """A hash of the content."""
    payload: bytes
    """A serialised `envoy.service.discovery.v3.Resource`, ready to be embedded in a response."""
    origins: tuple[tuple[Origin, str], ...] = ()
    """The declarations it was made of, each with a hash of the part that came from it."""
    needs: tuple[str, ...] = ()
    """Clusters that a proxy with this one must hold, though it will not ask for them (where copies of requests go)."""

    def __repr__(self) -> str:
        """Leave the payload out: it may hold a key."""
        return f"Encoded({self.name!r}, {self.version!r})"


class Demand(msgspec.Struct, frozen=True):
    """Something a stream subscribes to; streams that may share an answer share the demand.

    `viewer` is the node itself for a wildcard and for gateways, the namespace for what sidecars name: whoever asks from
    one namespace gets the same answer.
    """

    type_url: str
    name: str
    viewer: Namespace | Node


def demand(node: Node, type_url: str, name: str) -> Demand:
    """Build the demand that a node's subscription stands for."""
    shared = isinstance(node, SidecarNode) and name != WILDCARD
    return Demand(type_url, name, node.namespace if shared else node)


class Source(Protocol):
    """Where the server gets its answers. Called from the event loop; answers at once, never waits."""

    def watch(self, demand: Demand) -> tuple[Encoded, ...]:
        """Return what a demand is answered with now (nothing when it does not exist), and follow it from now on."""
        ...

    def unwatch(self, demand: Demand) -> None:
        """No stream asks for it any more."""
        ...

    def answer(self, demand: Demand) -> tuple[Encoded, ...]:
        """Return what a watched demand is answered with now."""
        ...

    def accepted(self, demand: Demand, resources: tuple[Encoded, ...]) -> None:
        """A proxy took these."""
        ...

    def refused(self, demand: Demand, resources: tuple[Encoded, ...], message: str) -> None:
        """A proxy refused a response that held these, and why."""
        ...
