"""`skep version`: what this command is, and what the server is, if one answers soon. Never fails because none does.

The standard library asks: importing a whole HTTP client would cost more than the answer.
"""

import http.client
import json
from importlib.metadata import version as version_of
from urllib.parse import urlsplit

from skep.cli.options import Installation
from skep.cli.output import to_json, to_yaml, write

LIMIT_S = 2.0
_MARK = "+skep."
"""In the server's version, what stands before Skep's own: `v1.37.0+skep.0.1.0`, as kubectl wants to read it."""


def print_versions(installation: Installation | None, output: str) -> None:
    """Print both versions; without an installation, this command's alone."""
    ours = version_of("skep")
    theirs = server_version(installation) if installation is not None else ""
    versions = {"client": ours, **({"server": theirs} if theirs else {})}
    if output == "json":
        write(to_json(versions))
    elif output == "yaml":
        write(to_yaml(versions))
    else:
        write(f"skep {ours}")
        if installation is not None:
            write(f"server {theirs} at {installation.server}" if theirs else f"server: none at {installation.server}")


def server_version(installation: Installation) -> str:
    """Return the version of the server; empty when none answers in time."""
    address = urlsplit(installation.server)
    encrypted = address.scheme == "https"
    kind = http.client.HTTPSConnection if encrypted else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=LIMIT_S)
    try:
        connection.request("GET", "/version", headers={"authorization": f"Bearer {installation.token}"})
        answer = connection.getresponse()
        found = json.loads(answer.read(65_536)) if answer.status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    finally:
        connection.close()
    return str(found.get("gitVersion", "")).partition(_MARK)[2] if isinstance(found, dict) else ""
