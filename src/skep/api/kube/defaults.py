"""Fills in what Kubernetes fills in on a write, where its tools rely on seeing it. Pure.

Wrong types pass untouched, so that validation can name them.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Document = dict[str, Any]
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def with_defaults(resource: str, document: Document) -> Document:
    """Return the document with its kind's defaults; the one given is not changed."""
    fill = _DEFAULTS.get(resource)
    return fill(document) if fill else document


def _namespace(document: Document) -> Document:
    metadata = document.get("metadata", {})
    labels = metadata.get("labels", {})
    if isinstance(labels, Mapping):
        labels = {**labels, "kubernetes.io/metadata.name": metadata.get("name", "")}
        document = {**document, "metadata": {**metadata, "labels": labels}}
    return {**document, "status": {"phase": "Active", **_object(document.get("status"))}}


def _secret(document: Document) -> Document:
    texts = document.get("stringData")
    document = {"type": "Opaque", **document}
    data = document.get("data", {})
    if not isinstance(texts, Mapping) or not all(isinstance(text, str) for text in texts.values()):
        return document
    if isinstance(data, Mapping):
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        document["data"] = {**data, **encoded}
        del document["stringData"]
    return document


def _service(document: Document) -> Document:
    spec = document.get("spec")
    if not isinstance(spec, Mapping):
        return document
    spec = {"type": "ClusterIP", **spec}
    if isinstance(spec.get("ports"), list):
        spec["ports"] = [_service_port(port) for port in spec["ports"]]
    return {**document, "spec": spec}


def _service_port(port: Any) -> Any:
    if not isinstance(port, Mapping):
        return port
    return {"protocol": "TCP", **({"targetPort": port["port"]} if "port" in port else {}), **port}


def _deployment(document: Document) -> Document:
    spec = document.get("spec")
    if not isinstance(spec, Mapping):
        return document
    spec = {"replicas": 1, **spec, "strategy": _strategy(spec.get("strategy", {}))}
    template = _object(spec.get("template"))
    pod = _object(template.get("spec"))
    if isinstance(pod.get("containers"), list):
        containers = [_container(container) for container in pod["containers"]]
        spec["template"] = {**template, "spec": {**pod, "containers": containers}}
    return {**document, "spec": spec}


def _strategy(strategy: Any) -> Any:
    if not isinstance(strategy, Mapping):
        return strategy
    strategy = {"type": "RollingUpdate", **strategy}
    rolling = strategy.get("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and isinstance(rolling, Mapping):
        strategy["rollingUpdate"] = {"maxSurge": "25%", "maxUnavailable": "25%", **rolling}
    return strategy


def _container(container: Any) -> Any:
    if not isinstance(container, Mapping):
        return container
    filled = {**container, **{name: _probe(container[name]) for name in _PROBES if name in container}}
    if isinstance(container.get("ports"), list):
        ports = container["ports"]
        filled["ports"] = [{"protocol": "TCP", **port} if isinstance(port, Mapping) else port for port in ports]
    return filled


def _probe(probe: Any) -> Any:
    if not isinstance(probe, Mapping):
        return probe
    filled = {**_PROBE, **probe}
    if isinstance(probe.get("httpGet"), Mapping):
        filled["httpGet"] = {"path": "/", "scheme": "HTTP", **probe["httpGet"]}
    return filled


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


_DEFAULTS: Mapping[str, Callable[[Document], Document]] = {
    "namespaces": _namespace,
    "secrets": _secret,
    "services": _service,
    "deployments.apps": _deployment,
}


def immutable_paths(resource: str, old: Document, new: Document) -> Iterator[str]:
    """Name the fields that differ but must not."""
    if resource == "deployments.apps" and _object(old.get("spec")).get("selector") != new["spec"].get("selector"):
        yield "spec.selector"
    if resource == "secrets" and old.get("type") != new.get("type"):
        yield "type"
    if resource in ("secrets", "configmaps") and old.get("immutable") is True:
        for field in ("data", "binaryData", "immutable"):
            if old.get(field) != new.get(field):
                yield field
