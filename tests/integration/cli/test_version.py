"""Versions are told whether a server answers or not."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from skep.cli import version
from skep.cli.options import Installation
from skep.cli.version import print_versions, server_version


class _Server(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  its base names it
        """Say nothing."""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Installation(f"http://127.0.0.1:{server.server_port}", "secret", tmp_path)
        server.shutdown()
        thread.join()


def test_the_server_tells_its_version(installation: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    _Server.body = json.dumps({"gitVersion": "v1.37.0+skep.7.8.9"}).encode()
    print_versions(installation, "json")
    assert json.loads(capsys.readouterr().out)["server"] == "7.8.9"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"gitVersion": "v1.37.0"}', b"<html>"])
def test_another_program_there_is_not_taken_for_one(installation: Installation, body: bytes) -> None:
    _Server.body = body
    assert server_version(installation) == ""


def test_no_server_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_versions(Installation("http://127.0.0.1:1", "", tmp_path), "table")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("skep ")
    assert second == "server: none at http://127.0.0.1:1"


def test_without_an_installation_none_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(version, "server_version", lambda _: pytest.fail("asked"))
    print_versions(None, "table")
    assert len(capsys.readouterr().out.splitlines()) == 1
