"""The shell offers commands, kinds and the names that the server has; without a server it offers what is known anyway."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_server import ApiServer, running_api

LIMIT_S = 30
_SKEP = "from skep.cli.main import main; main()"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api(tmp_path_factory.mktemp("completion")) as running:
        yield running


def offered(line: str, server: ApiServer | None, data_dir: Path) -> list[str]:
    """What stands after TAB at the end of a line, without the empty lines that bash drops."""
    address = (
        {"SKEP_SERVER": server.url, "SKEP_TOKEN": server.admin_token} if server else {"SKEP_SERVER": "127.0.0.1:1"}
    )
    asked = {"_SKEP_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", _SKEP],
        env={**os.environ, **address, **asked, "SKEP_DATA_DIR": str(data_dir)},  # noqa: TID251
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("skep kube", ["kubeconfig"]),
        ("skep get po", ["pods"]),
        ("skep get ns ", ["default", "skep-system"]),
        ("skep get ns default s", ["skep-system"]),
        ("skep describe ns/d", ["ns/default"]),
        ("skep delete -n default cm ", []),
        ("skep get nosuch a", []),
        ("skep get pods -o js", ["json"]),
    ],
)
def test_what_is_offered(server: ApiServer, tmp_path: Path, line: str, words: list[str]) -> None:
    assert offered(line, server, tmp_path) == words


def test_without_a_server_kinds_are_offered_and_names_are_not(tmp_path: Path) -> None:
    assert offered("skep get gatewayc", None, tmp_path) == ["gatewayclasses"]
    assert offered("skep get ns ", None, tmp_path) == []
