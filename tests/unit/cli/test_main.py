"""The command line itself: helpful, quick, and never a traceback."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from skep.cli.main import app, main
from skep.cli.options import locate


def commands(command: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield name
    for sub, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*name, sub))


ALL = list(commands(typer.main.get_command(app)))


def exit_status(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


@pytest.mark.parametrize("name", ALL, ids=" ".join)
def test_every_help_has_an_example(name: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*name, "--help"])
    assert shown.exit_code == 0
    assert "Example: skep " in " ".join(shown.output.split())


def test_every_promised_command_is_there() -> None:
    promised = "up server agent run apply get describe delete logs kubeconfig top version"
    assert {name[0] for name in ALL if name} >= set(promised.split())
    assert ("agent", "restart-envoy") in ALL


@pytest.mark.parametrize(
    "arguments", [("get",), ("frobnicate",), ("get", "pods", "-o", "xml"), ("apply",), ("delete",), ("run", "true")]
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = exit_status(capsys, *arguments)
    assert status == 2
    assert "Traceback" not in err


def test_a_users_mistake_is_two_lines_and_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = exit_status(capsys, "apply", "-f", str(tmp_path / "nothing.yaml"))
    assert (status, out) == (1, "")
    what, after = err.splitlines()
    assert what.startswith("error: ")
    assert "nothing.yaml" in what
    assert after.startswith("next: ")


@pytest.mark.parametrize(
    "arguments", [("top", "--once"), ("run", "--service", "a", "--", "true"), ("agent", "restart-envoy")]
)
def test_a_missing_agent_is_said(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKEP_DATA_DIR", str(tmp_path))
    status, _, err = exit_status(capsys, *arguments)
    assert status == 1
    what, after = err.splitlines()
    assert what == f"error: no agent runs on this host for {tmp_path}"
    assert after == "next: start the platform with `skep up`, or the agent with `skep agent`"


def test_a_server_that_does_not_answer_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = exit_status(capsys, "get", "pods", "--server", "http://127.0.0.1:1", "--data-dir", str(tmp_path))
    assert status == 1
    assert err.splitlines()[0] == "error: http://127.0.0.1:1: no server answers there"
    assert "skep up" in err.splitlines()[1]


def test_a_wrong_setting_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "skep.toml"
    file.write_text("htp_port = 1\n")
    status, _, err = exit_status(capsys, "server", "--config", str(file), "--data-dir", str(tmp_path))
    assert status == 1
    assert "htp_port" in err


def test_the_quick_commands_import_nothing_heavy() -> None:
    code = "import sys, skep.cli.main as m\nprint(sorted({n.split('.')[0] for n in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    for heavy in ("asyncio", "httpx", "pydantic", "sqlalchemy", "yaml", "grpc", "starlette", "uvicorn"):
        assert f"'{heavy}'" not in loaded


def test_the_server_is_found_by_flag_then_directory_then_default(tmp_path: Path) -> None:
    assert locate("", "", tmp_path, "127.0.0.1", 7400).server == "http://127.0.0.1:7400"
    (tmp_path / "server").write_text("http://127.0.0.1:7500\n")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "admin").write_text("secret\n")
    found = locate("", "", tmp_path, "127.0.0.1", 7400)
    assert (found.server, found.token) == ("http://127.0.0.1:7500", "secret")
    assert locate("other:1/", "t", tmp_path, "127.0.0.1", 7400).server == "http://other:1"
