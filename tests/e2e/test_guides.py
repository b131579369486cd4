"""The shell examples of the guides, run as a reader would, each guide in a fresh installation."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.guides import Step, missing_line, read_steps
from tests.support.installation import ROOT, Installation, installation

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
USUAL_PORTS = {":8080": "SKEP_GATEWAY_HTTP_PORT", ":7400": "SKEP_HTTP_PORT"}
LOOKS = ("curl", "skep get", "skep describe", "skep logs", "skep run", "kubectl get", "kubectl logs", "for ")
"""Commands that may be tried again until they show what was announced: they only look."""
PATIENCE_S = 45


class Reader:
    """Follows a guide: keeps what it sets, and types one command after the other."""

    def __init__(self, running: Installation) -> None:
        self._running = running
        self._env = dict(running.env)

    def _shell(self, command: str) -> list[str]:
        for usual, setting in USUAL_PORTS.items():
            command = command.replace(f"127.0.0.1{usual}", f"127.0.0.1:{self._env[setting]}")
        return ["bash", "-c", command]

    def type(self, step: Step) -> None:
        """Run a command; fail when it does not show what the guide says."""
        if step.command.split("=")[0].removeprefix("export ").isidentifier():
            self._set(step.command)
            return
        deadline = time.perf_counter() + (PATIENCE_S if step.command.startswith(LOOKS) else 0)
        while True:
            done = subprocess.run(
                self._shell(step.command), env=self._env, cwd=ROOT, capture_output=True, text=True, timeout=120
            )
            missing = missing_line(step.expected, done.stdout + done.stderr)
            if missing is None and done.returncode == 0:
                return
            if time.perf_counter() > deadline:
                raise AssertionError(
                    f"line {step.line}: $ {step.command}\nstatus {done.returncode}, not shown: {missing}\n"
                    f"stdout: {done.stdout}\nstderr: {done.stderr}"
                )
            time.sleep(0.3)

    def _set(self, command: str) -> None:
        shown = subprocess.run(
            self._shell(f"set -a; {command}; env -0"),
            env=self._env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
        )
        self._env = dict(part.split("=", 1) for part in shown.stdout.split("\0") if part)

    @contextmanager
    def beside(self, step: Step) -> Iterator[None]:
        """Keep a command running while the rest of the guide is read."""
        process = subprocess.Popen(self._shell(f"exec {step.command}"), env=self._env, cwd=ROOT, start_new_session=True)
        try:
            yield
            assert process.poll() is None, f"line {step.line}: $ {step.command} ended with {process.returncode}"
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_guide(guide: Path, tmp_path: Path) -> None:
    steps = read_steps(guide)
    assert steps, "a guide without examples that run"
    with installation(tmp_path) as running, ExitStack() as stack:
        reader = Reader(running)
        for step in steps:
            if step.background:
                stack.enter_context(reader.beside(step))
            else:
                reader.type(step)
