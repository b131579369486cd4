"""The table of kinds: group, version and kind → body class, validator, scope, merge keys; and how a document is parsed.

In: documents as users write them; out: a frozen `Resource`, or every violation at once. Must not read or write anything.
Adding a kind is one row here, its columns in `api/kube/columns.py`, and its body class in the room it belongs to.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from skep.model import configuration
from skep.model.metadata import validate_metadata
from skep.model.names import GATEWAY_GROUP, SKEP_GROUP, ObjectRef
from skep.model.resource import Meta, Record, Resource
from skep.model.violation import Violation
from skep.registry import spec as instance_spec
from skep.routing import gateway, httproute, referencegrant, service
from skep.workloads import spec as workload

Validator = Callable[[Any], list[Violation]]
ENVELOPE = frozenset({"apiVersion", "kind", "metadata", "status"})


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table."""

    group: str = ""
    version: str = "v1"
    also: tuple[str, ...] = ()
    """Other versions of the same shape under which it is served."""
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    body: type[Record]
    validate: Validator
    label_name: bool = False
    """Whether names are one DNS label instead of a subdomain."""
    read_only: bool = False
    """Shows what is running; only the platform writes it."""
    status: bool = False
    """Whether it has a status of its own, written at `/status`."""
    merge_keys: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Lists that a strategic merge patch merges, by path without indices; empty for kinds that take none."""

    @property
    def singular(self) -> str:
        """The lower-case name of one."""
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """The name under which the store keeps it: `httproutes.gateway.networking.k8s.io`, `services`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def versions(self) -> tuple[str, ...]:
        """Every served version, the stored one first."""
        return (self.version, *self.also)

    @property
    def api_version(self) -> str:
        """The `apiVersion` of stored documents."""
        return self.api_version_at(self.version)

    @property
    def strategic(self) -> bool:
        """Whether strategic merge patches are taken; like custom resources, the Gateway API's kinds take none."""
        return self.group in ("", "apps")

    def api_version_at(self, version: str) -> str:
        """The `apiVersion` at one of its versions."""
        return f"{self.group}/{version}" if self.group else version

    def ref(self, namespace: str, name: str) -> ObjectRef:
        """Name one object of this kind."""
        return ObjectRef(self.group, self.kind, namespace if self.namespaced else "", name)


_META_KEYS = {"metadata.ownerReferences": "uid", "metadata.finalizers": ""}


def _pod_keys(prefix: str) -> dict[str, str]:
    keys = {f"{prefix}.volumes": "name", f"{prefix}.imagePullSecrets": "name", f"{prefix}.hostAliases": "ip"}
    for containers in ("containers", "initContainers"):
        path = f"{prefix}.{containers}"
        keys |= {path: "name", f"{path}.env": "name", f"{path}.ports": "containerPort"}
        keys |= {f"{path}.volumeMounts": "mountPath", f"{path}.volumeDevices": "devicePath"}
    return keys


_CORE_ALL = ("all",)
_GATEWAY = ("gateway-api",)

KINDS: tuple[Kind, ...] = (
    Kind(
        kind="Namespace", plural="namespaces", short_names=("ns",), namespaced=False, label_name=True, status=True,
        body=configuration.Namespace, validate=configuration.validate_namespace,
        merge_keys=_META_KEYS | {"status.conditions": "type"},
    ),
    Kind(
        kind="Service", plural="services", short_names=("svc",), categories=_CORE_ALL, label_name=True, status=True,
        body=service.Service, validate=service.validate_service,
        merge_keys=_META_KEYS | {"spec.ports": "port", "status.conditions": "type"},
    ),
    Kind(
        kind="ConfigMap", plural="configmaps", short_names=("cm",),
        body=configuration.ConfigMap, validate=configuration.validate_configmap, merge_keys=_META_KEYS,
    ),
    Kind(
        kind="Secret", plural="secrets",
        body=configuration.Secret, validate=configuration.validate_secret, merge_keys=_META_KEYS,
    ),
    Kind(
        kind="Event", plural="events", short_names=("ev",),
        body=configuration.Event, validate=configuration.validate_event, merge_keys=_META_KEYS,
    ),
    Kind(
        kind="Pod", plural="pods", short_names=("po",), categories=_CORE_ALL, read_only=True, status=True,
        body=workload.Pod, validate=workload.validate_pod,
        merge_keys=_META_KEYS | _pod_keys("spec") | {"status.conditions": "type"},
    ),
    Kind(
        group="apps", kind="Deployment", plural="deployments", short_names=("deploy",), categories=_CORE_ALL,
        status=True, body=workload.Deployment, validate=workload.validate_deployment,
        merge_keys=_META_KEYS | _pod_keys("spec.template.spec") | {"status.conditions": "type"},
    ),
    Kind(
        group=GATEWAY_GROUP, kind="GatewayClass", plural="gatewayclasses", short_names=("gc",), categories=_GATEWAY,
        namespaced=False, status=True, body=gateway.GatewayClass, validate=gateway.validate_gatewayclass,
    ),
    Kind(
        group=GATEWAY_GROUP, kind="Gateway", plural="gateways", short_names=("gtw",), categories=_GATEWAY,
        status=True, body=gateway.Gateway, validate=gateway.validate_gateway,
    ),
    Kind(
        group=GATEWAY_GROUP, kind="HTTPRoute", plural="httproutes", categories=_GATEWAY, status=True,
        body=httproute.HTTPRoute, validate=httproute.validate_httproute,
    ),
    Kind(
        group=GATEWAY_GROUP, version="v1beta1", also=("v1",), kind="ReferenceGrant", plural="referencegrants",
        short_names=("refgrant",), categories=_GATEWAY,
        body=referencegrant.ReferenceGrant, validate=referencegrant.validate_referencegrant,
    ),
    Kind(
        group=SKEP_GROUP, version="v1alpha1", kind="Instance", plural="instances", short_names=("inst",),
        categories=("skep",), read_only=True, status=True,
        body=instance_spec.Instance, validate=instance_spec.validate_instance,
    ),
)  # fmt: skip

_BY_KIND = {(kind.group, kind.kind): kind for kind in KINDS}
_BY_RESOURCE = {kind.resource: kind for kind in KINDS}


def kind_for(group: str, kind: str) -> Kind | None:
    """Find a kind by its group and name."""
    return _BY_KIND.get((group, kind))


def kind_for_resource(resource: str) -> Kind | None:
    """Find a kind by the name the store knows it by."""
    return _BY_RESOURCE.get(resource)


def parse(kind: Kind, document: Mapping[str, Any]) -> Resource[Record] | list[Violation]:
    """Read a document; null means absent. Returns all its violations when it has any."""
    clean = cast(dict[str, Any], without_nulls(document))
    metadata = clean.get("metadata", {})
    violations = validate_metadata(metadata, namespaced=kind.namespaced, label_name=kind.label_name)
    body = parse_body(kind, clean)
    if isinstance(body, list):
        return violations + body
    violations += kind.validate(body)
    if violations:
        return sorted(set(violations), key=_natural)
    return Resource(ref=kind.ref(metadata.get("namespace", ""), metadata["name"]), meta=_meta(metadata), body=body,
                    status=clean.get("status", {}))  # fmt: skip


def parse_body(kind: Kind, document: Mapping[str, Any]) -> Record | list[Violation]:
    """Read what is left of a document without its envelope; wrong types come back as violations."""
    body = {key: value for key, value in document.items() if key not in ENVELOPE}
    try:
        return kind.body.model_validate(body)
    except ValidationError as error:
        return sorted(set(_translated(error, body)), key=_natural)


def without_nulls(value: Any) -> Any:
    """Drop null members at every depth, as Kubernetes reads them."""
    if isinstance(value, Mapping):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _meta(metadata: Mapping[str, Any]) -> Meta:
    return Meta(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 1),
        created=metadata.get("creationTimestamp", ""),
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _natural(violation: Violation) -> tuple[Any, ...]:
    """Sort paths as a reader would: items by number."""
    parts = re.split(r"([0-9]+)", violation.path)
    return (
        tuple(int(part) if place % 2 else part for place, part in enumerate(parts)),
        violation.code,
        violation.message,
    )


def _translated(error: ValidationError, body: Mapping[str, Any]) -> Iterator[Violation]:
    """Give pydantic's findings Kubernetes' paths; alternatives of one field become one violation."""
    found: dict[str, list[tuple[str, str]]] = {}
    for issue in error.errors(include_url=False, include_context=True, include_input=True):
        found.setdefault(_path(issue, body), []).append(_worded(issue))
    for path, reasons in found.items():
        codes, messages = zip(*dict.fromkeys(reasons), strict=True)
        yield Violation(path or "(body)", codes[0], " or ".join(dict.fromkeys(messages)))


def _path(issue: ErrorDetails, body: Mapping[str, Any]) -> str:
    """Follow a location through the document, leaving out the tags of unions, which no user wrote."""
    path, here = "", cast(Any, body)
    location: Sequence[int | str] = issue["loc"]
    for place, part in enumerate(location):
        last = place == len(location) - 1
        if isinstance(part, int) and isinstance(here, list) and part < len(here):
            path, here = f"{path}[{part}]", here[part]
        elif isinstance(part, str) and isinstance(here, Mapping):
            if part in here:
                path, here = _join(path, part), here[part]
            elif last and issue["type"] == "missing":
                path = _join(path, part)
    return path


_TYPES = {
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing": "must be an integer",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "none_required": "must be absent",
}


def _worded(issue: ErrorDetails) -> tuple[str, str]:
    kind, context = issue["type"], issue.get("ctx", {})
    if kind == "missing":
        return "required", "required value"
    shown = _shown(issue["input"])
    if kind in ("literal_error", "enum"):
        return "unsupported", f"unsupported value: {shown}: supported values: {context.get('expected', '')}"
    if kind in _TYPES:
        return "invalid-type", f"invalid value: {shown}: {_TYPES[kind]}"
    message = issue["msg"]
    for prefix in ("Value error, ", "Input "):
        message = message.removeprefix(prefix)
    return "invalid", f"invalid value: {shown}: {message}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if not isinstance(value, str) else '"' + value + '"'
    return text if len(text) <= 80 else text[:77] + "..."
