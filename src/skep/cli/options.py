"""The options that commands share, and the installation they point at. Variables are read here, once, by the option parser."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

DEFAULT_DATA_DIR = Path("~/.local/share/skep")
ADDRESS_FILE = "server"
"""In the data directory: where its server answers, written when it starts."""

Output = Literal["table", "wide", "json", "yaml", "name"]

_SERVER_HELP = "Address of the server; that of the data directory when not given."
ServerOption = Annotated[str, typer.Option("--server", envvar="SKEP_SERVER", help=_SERVER_HELP, show_envvar=True)]
TokenOption = Annotated[
    str, typer.Option("--token", envvar="SKEP_TOKEN", help="Token; the admin's of the data directory when not given.")
]
DataDirOption = Annotated[
    Path, typer.Option("--data-dir", envvar="SKEP_DATA_DIR", help="Where this installation keeps its data.")
]
HostOption = Annotated[str, typer.Option("--host", envvar="SKEP_HOST", hidden=True)]
PortOption = Annotated[int, typer.Option("--http-port", envvar="SKEP_HTTP_PORT", hidden=True)]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", envvar="SKEP_NAMESPACE", help="Namespace.")]
AllOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Every namespace.")]
SelectorOption = Annotated[str, typer.Option("--selector", "-l", help="Only objects with these labels: a=b,c!=d.")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print.")]
FileOption = Annotated[
    list[str] | None, typer.Option("--filename", "-f", help="File, directory or - for standard input; may be repeated.")
]


class Installation(msgspec.Struct, frozen=True):
    """The server that a command talks to, and the directory of the host's agent."""

    server: str
    token: str
    data_dir: Path


def locate(server: str, token: str, data_dir: Path, host: str, port: int) -> Installation:
    """Find the server and the token: what was given, else what the data directory tells, else the defaults."""
    data_dir = data_dir.expanduser().absolute()
    if not server:
        server = _read(data_dir / ADDRESS_FILE) or url_of(host, port)
    if "://" not in server:
        server = f"http://{server}"
    return Installation(server.rstrip("/"), token or _read(data_dir / "tokens" / "admin"), data_dir)


def url_of(host: str, port: int) -> str:
    """Return the URL at which a server that binds to an address answers on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
