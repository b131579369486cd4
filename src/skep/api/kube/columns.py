"""What `kubectl get` shows of each kind: the columns, and how a document and the time become cells. Pure.

Documents come from outside the type system (a status may be half written), so cells read them without trust.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from skep.kinds import Kind

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "y": 86_400 * 365}
_SPANS = (
    (120, "s", ""), (600, "m", "s"), (10_800, "m", ""), (28_800, "h", "m"), (172_800, "h", ""), (691_200, "d", "h"),
    (86_400 * 730, "d", ""), (86_400 * 2_920, "y", "d"),
)  # fmt: skip
Document = Mapping[str, Any]
Cell = str | int | None


class Column(msgspec.Struct, frozen=True):
    """One column; those of priority 1 show with `-o wide`."""

    name: str
    cell: Callable[[Document], Cell] | None
    description: str = ""
    priority: int = 0
    type: str = "string"
    timed: Callable[[Document, datetime], Cell] | None = None
    """Instead of `cell`, for what changes with the time alone."""

    def show(self, document: Document, now: datetime) -> Cell:
        """Return what stands in this column for a document."""
        if self.timed is not None:
            return self.timed(document, now)
        return self.cell(document) if self.cell is not None else None


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """Return the columns of a kind; all begin with the name but those of Events, whose names tell nothing."""
    own = COLUMNS[kind.resource]
    return own if own[-1].name == NAME.name else (NAME, *own)


def dig(document: Any, *path: str | int) -> Any:
    """Follow a path through a document; None where it ends early."""
    for part in path:
        if isinstance(part, int):
            document = document[part] if isinstance(document, list) and len(document) > part else None
        else:
            document = document.get(part) if isinstance(document, Mapping) else None
    return document


def age(since: Any, now: datetime) -> str:
    """Render how long ago a moment was, as kubectl does: 42s, 5m3s, 3h, 12d."""
    try:
        moment = datetime.fromisoformat(since)
    except (TypeError, ValueError):
        return "<unknown>"
    return span((now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds())


def span(seconds: float) -> str:
    """Render a duration in at most two units."""
    total = int(seconds)
    if total < 0:
        return "0s" if total >= -2 else "<invalid>"
    # Two units while the larger one is small, with the limits that kubectl has.
    for limit, unit, smaller in _SPANS:
        if total < limit:
            count, rest = divmod(total, _UNITS[unit])
            second = rest // _UNITS[smaller] if smaller else 0
            return f"{count}{unit}{second}{smaller}" if second else f"{count}{unit}"
    return f"{total // _UNITS['y']}y"


def _at(*path: str | int, default: Cell = "<none>") -> Callable[[Document], Cell]:
    def cell(document: Document) -> Cell:
        value = dig(document, *path)
        if value is None:
            return default
        return value if isinstance(value, int) and not isinstance(value, bool) else str(value)

    return cell


def _number(*path: str | int, default: int = 0) -> Callable[[Document], Cell]:
    return _at(*path, default=default)


def _age_at(*path: str | int) -> Callable[[Document, datetime], Cell]:
    return lambda document, now: age(dig(document, *path), now)


def _count(field: str) -> Callable[[Document], Cell]:
    return lambda document: len(dig(document, field) or {})


def _pairs(pairs: Any) -> str:
    if not isinstance(pairs, Mapping) or not pairs:
        return "<none>"
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items()))


def _items(document: Document, *path: str) -> list[Any]:
    found = dig(document, *path)
    return found if isinstance(found, list) else []


def _ready_of_deployment(document: Document) -> Cell:
    wanted = dig(document, "spec", "replicas")
    return f"{dig(document, 'status', 'readyReplicas') or 0}/{1 if wanted is None else wanted}"


def _ready_of_pod(document: Document) -> Cell:
    statuses = _items(document, "status", "containerStatuses")
    total = len(statuses) or len(_items(document, "spec", "containers"))
    return f"{sum(1 for status in statuses if dig(status, 'ready') is True)}/{total}"


def _status_of_pod(document: Document) -> Cell:
    if dig(document, "metadata", "deletionTimestamp"):
        return "Terminating"
    for status in _items(document, "status", "containerStatuses"):
        for state in ("waiting", "terminated"):
            reason = dig(status, "state", state, "reason")
            if reason:
                return str(reason)
    return str(dig(document, "status", "reason") or dig(document, "status", "phase") or "Pending")


def _restarts(document: Document) -> Cell:
    return sum(int(dig(status, "restartCount") or 0) for status in _items(document, "status", "containerStatuses"))


def _ports(document: Document) -> Cell:
    ports = [f"{dig(port, 'port')}/{dig(port, 'protocol') or 'TCP'}" for port in _items(document, "spec", "ports")]
    return ",".join(ports) or "<none>"


def _containers(field: str) -> Callable[[Document], Cell]:
    def cell(document: Document) -> Cell:
        names = [str(dig(one, field) or "") for one in _items(document, "spec", "template", "spec", "containers")]
        return ",".join(names) or "<none>"

    return cell


def _condition(kind: str, *, unknown: str = "Unknown") -> Callable[[Document], Cell]:
    def cell(document: Document) -> Cell:
        for condition in _items(document, "status", "conditions"):
            if dig(condition, "type") == kind:
                return str(dig(condition, "status"))
        return unknown

    return cell


def _parents(kind: str) -> Callable[[Document], Cell]:
    """Show a route's condition over all its parents: False when any refuses."""

    def cell(document: Document) -> Cell:
        found = {
            str(dig(condition, "status"))
            for parent in _items(document, "status", "parents")
            for condition in _items(parent, "conditions")
            if dig(condition, "type") == kind
        }
        return next((word for word in ("False", "Unknown", "True") if word in found), "Unknown")

    return cell


def _hostnames(document: Document) -> Cell:
    return ",".join(str(name) for name in _items(document, "spec", "hostnames")) or "*"


def _parent_names(document: Document) -> Cell:
    names = [f"{dig(ref, 'kind') or 'Gateway'}/{dig(ref, 'name')}" for ref in _items(document, "spec", "parentRefs")]
    return ",".join(names) or "<none>"


def _addresses(document: Document) -> Cell:
    return ",".join(str(dig(one, "value")) for one in _items(document, "status", "addresses")) or "<none>"


def _endpoint(document: Document) -> Cell:
    host = str(dig(document, "spec", "address") or "")
    return f"{f'[{host}]' if ':' in host else host}:{dig(document, 'spec', 'port') or 0}"


def _heard(document: Document, now: datetime) -> Cell:
    heard = dig(document, "status", "lease", "lastHeard")
    return age(heard, now) + " ago" if heard else "<never>"


def _expires(document: Document, now: datetime) -> Cell:
    try:
        left = (datetime.fromisoformat(dig(document, "status", "lease", "expires")) - now).total_seconds()
    except (TypeError, ValueError):
        return "<unknown>"
    return "in " + span(max(left, 0))


def _target_of_event(document: Document) -> Cell:
    about = dig(document, "involvedObject")
    return f"{str(dig(about, 'kind') or '').lower()}/{dig(about, 'name') or ''}"


def _last_seen(document: Document, now: datetime) -> Cell:
    for path in (("series", "lastObservedTime"), ("lastTimestamp",), ("eventTime",), ("metadata", "creationTimestamp")):
        if dig(document, *path):
            return age(dig(document, *path), now)
    return "<unknown>"


NAME = Column("Name", _at("metadata", "name", default=""), "Unique in its namespace.")
AGE = Column("Age", None, "Time since it was created.", timed=_age_at("metadata", "creationTimestamp"))
_SELECTOR = Column("Selector", lambda document: _pairs(dig(document, "spec", "selector")), "", 1)

COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "namespaces": (Column("Status", _at("status", "phase", default="Active")), AGE),
    "services": (
        Column("Type", _at("spec", "type", default="ClusterIP")),
        Column("Cluster-IP", _at("spec", "clusterIP")),
        Column("External-IP", _at("spec", "externalName")),
        Column("Port(s)", _ports),
        AGE,
        _SELECTOR,
    ),
    "configmaps": (
        Column("Data", lambda d: len(dig(d, "data") or {}) + len(dig(d, "binaryData") or {}), "", 0, "integer"),
        AGE,
    ),
    "secrets": (Column("Type", _at("type", default="Opaque")), Column("Data", _count("data"), "", 0, "integer"), AGE),
    "events": (
        Column("Last Seen", None, timed=_last_seen),
        Column("Type", _at("type", default="Normal")),
        Column("Reason", _at("reason", default="")),
        Column("Object", _target_of_event),
        Column("Source", _at("source", "component", default=""), "", 1),
        Column("Message", _at("message", default="")),
        Column("Count", _number("count", default=1), "", 1, "integer"),
        Column("Name", _at("metadata", "name", default=""), "", 1),
    ),
    "pods": (
        Column("Ready", _ready_of_pod),
        Column("Status", _status_of_pod),
        Column("Restarts", _restarts, "", 0, "integer"),
        AGE,
        Column("IP", _at("status", "podIP"), "", 1),
        Column("Node", _at("spec", "nodeName"), "", 1),
    ),
    "deployments.apps": (
        Column("Ready", _ready_of_deployment),
        Column("Up-to-date", _number("status", "updatedReplicas"), "", 0, "integer"),
        Column("Available", _number("status", "availableReplicas"), "", 0, "integer"),
        AGE,
        Column("Containers", _containers("name"), "", 1),
        Column("Images", _containers("image"), "", 1),
        Column("Selector", lambda d: _pairs(dig(d, "spec", "selector", "matchLabels")), "", 1),
    ),
    "gatewayclasses.gateway.networking.k8s.io": (
        Column("Controller", _at("spec", "controllerName")),
        Column("Accepted", _condition("Accepted")),
        AGE,
        Column("Description", _at("spec", "description", default=""), "", 1),
    ),
    "gateways.gateway.networking.k8s.io": (
        Column("Class", _at("spec", "gatewayClassName")),
        Column("Address", _addresses),
        Column("Programmed", _condition("Programmed")),
        AGE,
    ),
    "httproutes.gateway.networking.k8s.io": (
        Column("Hostnames", _hostnames),
        Column("Accepted", _parents("Accepted")),
        Column("Resolved", _parents("ResolvedRefs")),
        AGE,
        Column("Parents", _parent_names, "", 1),
    ),
    "referencegrants.gateway.networking.k8s.io": (AGE,),
    "instances.skep.dev": (
        Column("Service", _at("spec", "service")),
        Column("Address", _endpoint),
        Column("Health", _at("status", "health", default="unknown")),
        Column("Heard", None, "When somebody last said it is alive.", timed=_heard),
        Column("Expires", None, "When it is removed if nobody says so again.", timed=_expires),
        AGE,
        Column("Heard By", _at("status", "lease", "heardBy"), "", 1),
        Column("Zone", _at("spec", "zone", default=""), "", 1),
        Column("Weight", _number("spec", "weight", default=100), "", 1, "integer"),
        Column("Protocol", _at("spec", "protocol", default="http"), "", 1),
    ),
}
