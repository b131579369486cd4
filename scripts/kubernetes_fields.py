"""Writes the field numbers by which typed Kubernetes clients encode the kinds Skep serves, from the Go types' own tags.

Run with Go installed: `.venv/bin/python scripts/kubernetes_fields.py`. Out: src/skep/api/kube/protobuf_fields.json, one
message a line: number → [JSON name, type, marks]; marks are `*` list, `%` map, `?` kept when zero, `<` inlined.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "src/skep/api/kube/protobuf_fields.json"
MODULE = ROOT / "tests/tools/kubectl"
PACKAGES = {
    "core": ("k8s.io/api", "core/v1"),
    "apps": ("k8s.io/api", "apps/v1"),
    "autoscaling": ("k8s.io/api", "autoscaling/v1"),
    "meta": ("k8s.io/apimachinery", "pkg/apis/meta/v1"),
}
ALIASES = {"v1": "core", "corev1": "core", "metav1": "meta"}
ROOTS = [
    *(f"core.{kind}" for kind in ("Namespace", "Service", "ConfigMap", "Secret", "Event", "Pod")),
    "apps.Deployment", "autoscaling.Scale", "meta.DeleteOptions",
]  # fmt: skip
SPECIAL = {
    "resource.Quantity": "quantity", "intstr.IntOrString": "intorstring", "types.UID": "str",
    "meta.Time": "time", "meta.MicroTime": "time", "meta.FieldsV1": "skip", "runtime.RawExtension": "skip",
}  # fmt: skip
SCALARS = {
    "string": "str",
    "bool": "bool",
    "int32": "int",
    "int64": "int",
    "uint32": "int",
    "int": "int",
    "byte": "byte",
}
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^type (\w+) (string|bool|int32|int64|map\[.*|\[\]\S+)$", re.MULTILINE)
FIELD = re.compile(r'^\s+(?:(\w+)\s+)?(\S+)\s+`json:"([^"]*)"(?: \w+:"[^"]*")* protobuf:"([^"]*)"', re.MULTILINE)

Fields = dict[str, list[str]]


def main() -> None:
    """Write the table."""
    structs: dict[str, str] = {}
    named: dict[str, str] = {}
    for package, (module, folder) in PACKAGES.items():
        source = "\n".join(path.read_text() for path in sorted(module_path(module, folder).glob("*.go")))
        structs |= {f"{package}.{name}": body for name, body in STRUCT.findall(source)}
        named |= {f"{package}.{name}": text for name, text in NAMED.findall(source)}
    table: dict[str, Fields] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in table:
            table[name] = dict(fields(name, structs, named))
            waiting += [field[1] for field in table[name].values() if field[1] in structs]
    lines = [f"{json.dumps(name)}: {json.dumps(table[name], separators=(',', ':'))}" for name in sorted(table)]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def module_path(module: str, folder: str) -> Path:
    """Return where Go keeps a package's source."""
    found = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=MODULE, check=True, capture_output=True, text=True
    )
    return Path(found.stdout.strip()) / folder


def fields(name: str, structs: dict[str, str], named: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Read the fields of one struct from their tags."""
    package = name.partition(".")[0]
    for _, go_type, json_tag, tag in FIELD.findall(structs[name]):
        wire_name = json_tag.partition(",")[0]
        kind, marks = resolve(go_type, package, named)
        if not wire_name:
            marks += "<"
        yield tag.split(",")[1], [wire_name, kind, marks]


def resolve(go_type: str, package: str, named: dict[str, str]) -> tuple[str, str]:
    """Return our word for a Go type, and its marks."""
    if go_type.startswith("*"):
        kind, marks = resolve(go_type[1:], package, named)
        return kind, marks + "?"
    if go_type == "[]byte":
        return "bytes", ""
    if go_type.startswith("[]"):
        return resolve(go_type[2:], package, named)[0], "*"
    if go_type.startswith("map["):
        return resolve(go_type.partition("]")[2], package, named)[0], "%"
    if go_type in SCALARS:
        return SCALARS[go_type], ""
    prefix, dot, base = go_type.rpartition(".")
    full = f"{ALIASES.get(prefix, prefix)}.{base}" if dot else f"{package}.{base}"
    if full in SPECIAL:
        return SPECIAL[full], ""
    if full in named:
        return resolve(named[full], full.partition(".")[0], named)
    return full, ""


if __name__ == "__main__":
    main()
