"""Golden cases: how one is read, run through the compiler, and written down. `ir.yaml` is what translation starts from.

A case is a folder under tests/golden/<topic>/: `in.yaml` (documents, instances, secrets to make, what proxies refused,
what to ask), `ir.yaml`, `status.yaml`, `xds.yaml`. SKEP_GOLDEN=rewrite writes what came out; never under CI.
"""

import base64
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from skep.compiler.edge import certificate, edge_ports, edge_routes, edge_upstreams
from skep.compiler.hosts import outbound_host
from skep.compiler.memo import Memo
from skep.compiler.status import status_of
from skep.compiler.upstreams import endpoints, upstream
from skep.ir.edge import Certificate, EdgePort, Routes
from skep.ir.route import Forward, Route, VirtualHost
from skep.ir.upstream import Endpoints, Upstream
from skep.kinds import parse
from skep.model.names import GATEWAY_GROUP, Namespace, ObjectRef
from skep.model.resource import Record, Resource
from tests.support.declared import accept_edges, declare, instance_of, kind_of, reject, reject_edge

ROOT = Path(__file__).parents[1] / "golden"
REDACTED = "redacted"


class HostAnswer(msgspec.Struct, frozen=True):
    """What an authority means to callers of a namespace; no host when it means nothing."""

    namespace: str
    authority: str
    host: VirtualHost | None = None


class Ir(msgspec.Struct, frozen=True):
    """Everything that was asked for, compiled."""

    edge_ports: tuple[EdgePort, ...] = ()
    routes: tuple[Routes, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    hosts: tuple[HostAnswer, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    endpoints: tuple[Endpoints, ...] = ()


def cases() -> list[Path]:
    """List the folders that hold a case."""
    return sorted(path.parent for path in ROOT.glob("*/*/in.yaml"))


def case_name(path: Path) -> str:
    """Name a case as its topic and folder."""
    return f"{path.parent.name}/{path.name}"


def load_ir(path: Path) -> Ir:
    """Read a case's `ir.yaml`."""
    return msgspec.convert(load(path / "ir.yaml"), Ir)


def load(path: Path) -> Any:
    """Read a YAML file; a missing one is empty."""
    return yaml.safe_load(path.read_text()) if path.exists() else None


def settle(path: Path, came_out: Any) -> None:
    """Compare what came out with the file, or rewrite the file when asked to."""
    if os.getenv("SKEP_GOLDEN") == "rewrite":  # noqa: TID251  the flag is for people at a terminal
        assert not os.getenv("CI"), "goldens are not rewritten in CI"  # noqa: TID251
        path.write_text(yaml.safe_dump(came_out, sort_keys=True, width=120, allow_unicode=True))
    assert load(path) == came_out, f"{path} differs; SKEP_GOLDEN=rewrite rewrites it, and the diff is read in review"


def run(case: Path) -> tuple[Ir, dict[str, Any]]:
    """Compile a case; return the IR and the statuses."""
    given = load(case / "in.yaml")
    memo, resources, refused = Memo(), [], {}
    documents = given.get("documents", []) + [make_secret(item) for item in given.get("secrets", [])]
    for document in documents:
        found = parse(kind_of(document), document)
        if isinstance(found, list):
            refused[_shown(document)] = [str(violation) for violation in found]
        else:
            resources.append(found)
    declare(memo, resources, [instance_of(item) for item in given.get("instances", [])])
    for item in given.get("rejected", []):
        _reject(memo, item)
    for item in given.get("edge_rejected", []):
        reject_edge(memo, item["port"], item["message"])
    accept_edges(memo)
    return _ask(memo, given.get("ask", {})), _statuses(memo, resources, refused)


def plain(value: Any) -> Any:
    """Render records as plain data, without the fields that have their default."""
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        shown = {"type": tag} if tag else {}
        for field in msgspec.structs.fields(value):
            here = getattr(value, field.name)
            if field.required or here != field.default:
                shown[field.encode_name] = plain(here)
        return shown
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def _ask(memo: Memo, ask: dict[str, Any]) -> Ir:
    gateways = [ObjectRef(GATEWAY_GROUP, "Gateway", *name.split("/")) for name in ask.get("gateways", [])]
    ports = tuple(port for ref in gateways for port in memo.get(edge_ports, ref))
    servers = dict.fromkeys(server for port in ports for server in port.servers)
    tables = tuple(cast(Routes, memo.get(edge_routes, server.name)) for server in servers)
    hosts = tuple(
        HostAnswer(item["from"], item["host"], memo.get(outbound_host, Namespace(item["from"]), item["host"]))
        for item in ask.get("hosts", [])
    )
    wanted = {name for ref in gateways for name in memo.get(edge_upstreams, ref)}
    wanted.update(name for item in hosts if item.host for route in item.host.routes for name in _sent_to(route))
    named = sorted(wanted)
    shown = dict.fromkeys(name for server in servers for name in server.certificates)
    return Ir(
        ports,
        tables,
        tuple(_redacted(memo.get(certificate, name)) for name in shown),
        hosts,
        tuple(cast(Upstream, memo.get(upstream, name)) for name in named),
        tuple(memo.get(endpoints, name) for name in named),
    )


def _sent_to(route: Route) -> Iterator[str]:
    if isinstance(route.action, Forward):
        yield from (backend.upstream for backend in route.action.backends if backend.upstream)
        yield from (mirror.upstream for mirror in route.action.mirrors)


def _statuses(memo: Memo, resources: list[Resource[Record]], refused: dict[str, list[str]]) -> dict[str, Any]:
    found = {str(item.ref): status_of(memo, item.ref) for item in resources}
    shown: dict[str, Any] = {name: status for name, status in found.items() if status is not None}
    for status in shown.values():
        status.pop("supportedFeatures", None)
    return {"statuses": shown} | ({"refused": refused} if refused else {})


def _reject(memo: Memo, item: dict[str, Any]) -> None:
    last = parse(kind_of(item["last"]), item["last"]) if "last" in item else None
    assert not isinstance(last, list)
    reject(memo, ObjectRef(*item["ref"]), item["generation"], item["message"], last)


def _redacted(found: Certificate | None) -> Certificate:
    assert found is not None
    return Certificate(found.name, REDACTED, REDACTED)


def _shown(document: dict[str, Any]) -> str:
    metadata = document["metadata"]
    return f"{document['kind']} {metadata['namespace']}/{metadata['name']}"


def make_secret(item: dict[str, str]) -> dict[str, Any]:
    """Make a throw-away certificate; `fault` spoils it."""
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, item["hostname"])])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    shown = other if item.get("fault") == "mismatched" else key
    data = {
        "tls.crt": made.public_bytes(Encoding.PEM),
        "tls.key": shown.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    if item.get("fault") == "malformed":
        data["tls.crt"] = b"not a certificate"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": item["name"], "namespace": item["namespace"]},
        "type": "kubernetes.io/tls",
        "data": {field: base64.b64encode(value).decode() for field, value in data.items()},
    }
