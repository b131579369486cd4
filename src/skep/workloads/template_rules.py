"""What is wrong with a pod's template. In: records of `template`; out: every violation with its path. Pure."""

import re
from collections.abc import Iterable

from skep.model.names import is_dns_label, is_dns_subdomain
from skep.model.violation import Violation
from skep.workloads.template import Container, EnvFrom, EnvVar, EnvVarSource, PodSpec, Probe

FIELD_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.podIP",
    "status.podIPs",
    "status.hostIP",
    "status.hostIPs",
)
KEYED_FIELD_PATH = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](?:-?[a-z0-9]){0,14}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
MAX_GRACE_S = 24 * 3600
MAX_SECONDS = 2**31 - 1


def validate_pod_spec(spec: PodSpec, path: str) -> list[Violation]:
    """Return everything that is wrong with a pod's spec."""
    found: list[Violation] = []
    if not spec.containers:
        found.append(Violation(f"{path}.containers", "required", "name the one container to run"))
    elif len(spec.containers) > 1:
        found.append(Violation(f"{path}.containers", "unsupported", "exactly one container per pod can be run for now"))
    if spec.restart_policy != "Always":
        found.append(Violation(f"{path}.restartPolicy", "unsupported", "only Always is supported"))
    if not 0 <= spec.termination_grace_period_seconds <= MAX_GRACE_S:
        found.append(
            Violation(f"{path}.terminationGracePeriodSeconds", "invalid", f"must be between 0 and {MAX_GRACE_S}")
        )
    names = [container.name for container in spec.containers]
    found += _duplicates(names, f"{path}.containers", "name")
    for index, container in enumerate(spec.containers):
        found += _validate_container(container, f"{path}.containers[{index}]")
    return found


def _validate_container(container: Container, path: str) -> list[Violation]:
    found = []
    if not is_dns_label(container.name):
        found.append(Violation(f"{path}.name", "invalid", "use at most 63 lower-case letters, digits and inner dashes"))
    if not container.image and not container.command:
        found.append(Violation(f"{path}.command", "required", "name the command to run (or an image)"))
    for field, words in (("command", container.command), ("args", container.args)):
        found += [
            Violation(f"{path}.{field}[{index}]", "invalid", "may not hold a NUL character")
            for index, word in enumerate(words)
            if "\0" in word
        ]
    if container.working_dir and "\0" in container.working_dir:
        found.append(Violation(f"{path}.workingDir", "invalid", "may not hold a NUL character"))
    found += _validate_ports(container, path)
    for index, variable in enumerate(container.env):
        found += _validate_variable(variable, f"{path}.env[{index}]")
    for index, source in enumerate(container.env_from):
        found += _validate_env_from(source, f"{path}.envFrom[{index}]")
    for name, probe in (
        ("readinessProbe", container.readiness_probe),
        ("livenessProbe", container.liveness_probe),
        ("startupProbe", container.startup_probe),
    ):
        if probe is not None:
            found += _validate_probe(probe, f"{path}.{name}", container)
            if name != "readinessProbe" and probe.success_threshold != 1:
                found.append(Violation(f"{path}.{name}.successThreshold", "invalid", "must be 1"))
    return found


def _validate_ports(container: Container, path: str) -> list[Violation]:
    found = []
    for index, port in enumerate(container.ports):
        where = f"{path}.ports[{index}]"
        found += _validate_port_number(port.container_port, f"{where}.containerPort")
        if port.name and not _PORT_NAME.fullmatch(port.name):
            found.append(Violation(f"{where}.name", "invalid", "use at most 15 of a-z, 0-9 and inner dashes"))
        if port.protocol not in ("TCP", "UDP", "SCTP"):
            found.append(Violation(f"{where}.protocol", "unsupported", "use TCP, UDP or SCTP"))
    return found + _duplicates([port.name for port in container.ports], f"{path}.ports", "name")


def _validate_port_number(number: int, path: str) -> list[Violation]:
    return [] if 1 <= number <= 65535 else [Violation(path, "invalid", "must be between 1 and 65535")]


def _validate_variable(variable: EnvVar, path: str) -> list[Violation]:
    found = _validate_variable_name(variable.name, f"{path}.name")
    if variable.value is not None and "\0" in variable.value:
        found.append(Violation(f"{path}.value", "invalid", "may not hold a NUL character"))
    if variable.value_from is not None:
        if variable.value:
            found.append(Violation(f"{path}.valueFrom", "invalid", "may not be set together with `value`"))
        found += _validate_source(variable.value_from, f"{path}.valueFrom")
    return found


def _validate_variable_name(name: str, path: str) -> list[Violation]:
    if not name:
        return [Violation(path, "required", "a variable needs a name")]
    if "=" in name or not (name.isascii() and name.isprintable()):
        return [Violation(path, "invalid", "use printable ASCII characters other than =")]
    return []


def _validate_source(source: EnvVarSource, path: str) -> list[Violation]:
    kinds = {
        "configMapKeyRef": source.config_map_key_ref,
        "secretKeyRef": source.secret_key_ref,
        "fieldRef": source.field_ref,
        "resourceFieldRef": source.resource_field_ref,
        "fileKeyRef": source.file_key_ref,
    }
    given = [name for name, value in kinds.items() if value is not None]
    if len(given) != 1:
        return [Violation(path, "invalid" if given else "required", "set exactly one source")]
    found = []
    for name in ("configMapKeyRef", "secretKeyRef"):
        if (ref := kinds[name]) is not None:
            found += _validate_name(ref.name, f"{path}.{name}.name")
            if not ref.key:
                found.append(Violation(f"{path}.{name}.key", "required", "name the entry"))
    field = source.field_ref
    if field is not None and field.field_path not in FIELD_PATHS and not KEYED_FIELD_PATH.fullmatch(field.field_path):
        wish = f"use one of {', '.join(FIELD_PATHS)}, metadata.labels['…'], metadata.annotations['…']"
        found.append(Violation(f"{path}.fieldRef.fieldPath", "unsupported", wish))
    return found


def _validate_env_from(source: EnvFrom, path: str) -> list[Violation]:
    found = []
    if source.prefix:
        found += _validate_variable_name(source.prefix, f"{path}.prefix")
    refs = [
        (name, ref)
        for name, ref in (("configMapRef", source.config_map_ref), ("secretRef", source.secret_ref))
        if ref is not None
    ]
    if len(refs) != 1:
        return [*found, Violation(path, "invalid" if refs else "required", "set one of configMapRef and secretRef")]
    return found + _validate_name(refs[0][1].name, f"{path}.{refs[0][0]}.name")


def _validate_name(name: str, path: str) -> list[Violation]:
    if not name:
        return [Violation(path, "required", "name the object")]
    return [] if is_dns_subdomain(name) else [Violation(path, "invalid", f"{name!r} is not an object's name")]


def _validate_probe(probe: Probe, path: str, container: Container) -> list[Violation]:
    handlers = (probe.http_get, probe.tcp_socket, probe.exec, probe.grpc)
    given = sum(handler is not None for handler in handlers)
    found = []
    if given != 1:
        code = "invalid" if given else "required"
        found.append(Violation(path, code, "set exactly one of httpGet, tcpSocket, exec (and grpc)"))
    if probe.http_get is not None:
        where = f"{path}.httpGet"
        found += _validate_probe_port(probe.http_get.port, f"{where}.port", container)
        if probe.http_get.scheme not in ("HTTP", "HTTPS"):
            found.append(Violation(f"{where}.scheme", "unsupported", "use HTTP or HTTPS"))
        if not probe.http_get.path.isprintable():
            found.append(Violation(f"{where}.path", "invalid", "use printable characters"))
        for index, header in enumerate(probe.http_get.http_headers):
            if not _HEADER_NAME.fullmatch(header.name):
                found.append(Violation(f"{where}.httpHeaders[{index}].name", "invalid", "is not a header's name"))
            if header.value and not header.value.isprintable():
                found.append(Violation(f"{where}.httpHeaders[{index}].value", "invalid", "use printable characters"))
    if probe.tcp_socket is not None:
        found += _validate_probe_port(probe.tcp_socket.port, f"{path}.tcpSocket.port", container)
    if probe.exec is not None and not probe.exec.command:
        found.append(Violation(f"{path}.exec.command", "required", "name the command to run"))
    return found + _validate_thresholds(probe, path)


def _validate_thresholds(probe: Probe, path: str) -> list[Violation]:
    limits = (
        ("initialDelaySeconds", probe.initial_delay_seconds, 0),
        ("periodSeconds", probe.period_seconds, 1),
        ("timeoutSeconds", probe.timeout_seconds, 1),
        ("successThreshold", probe.success_threshold, 1),
        ("failureThreshold", probe.failure_threshold, 1),
    )
    return [
        Violation(f"{path}.{name}", "invalid", f"must be between {least} and {MAX_SECONDS}")
        for name, value, least in limits
        if not least <= value <= MAX_SECONDS
    ]


def _validate_probe_port(port: int | str, path: str, container: Container) -> list[Violation]:
    if isinstance(port, int):
        return _validate_port_number(port, path)
    if port not in {declared.name for declared in container.ports if declared.name}:
        return [Violation(path, "not-found", f"no port of the container is named {port!r}")]
    return []


def _duplicates(names: Iterable[str], path: str, field: str) -> list[Violation]:
    seen: set[str] = set()
    found = []
    for index, name in enumerate(names):
        if name and name in seen:
            found.append(Violation(f"{path}[{index}].{field}", "duplicate", f"{name!r} is used twice"))
        seen.add(name)
    return found
