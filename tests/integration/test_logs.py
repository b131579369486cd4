"""What replicas wrote, read with the unmodified kubectl and with `skep logs`, on a whole installation."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.installation import ROOT, Installation, installation

PROGRAM = """
import os, signal, sys, time
print("run", os.environ["NAME"], flush=True)
print("warning", file=sys.stderr, flush=True)
number = 0
while not os.path.exists(sys.argv[1]):
    number += 1
    print("line", number, flush=True)
    time.sleep(0.3)
os.unlink(sys.argv[1])
print("last words", flush=True)
sys.exit(3)
"""
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: talker}
spec:
  selector: {matchLabels: {app: talker}}
  template:
    metadata: {labels: {app: talker}}
    spec:
      containers:
      - name: main
        command: [%s, %s, %s]
        env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
"""


class Talker:
    """A replica that speaks until it is told to crash."""

    def __init__(self, running: Installation, folder: Path) -> None:
        self.running = running
        self.crash = folder / "crash"
        config = folder / "kubeconfig"
        config.write_text(running.skep("kubeconfig").stdout)
        config.chmod(0o600)
        self.env = {**running.env, "KUBECONFIG": str(config)}
        program = folder / "talker.py"
        program.write_text(PROGRAM)
        manifest = folder / "talker.yaml"
        manifest.write_text(MANIFEST % (sys.executable, program, self.crash))
        assert running.skep("apply", "-f", str(manifest)).returncode == 0
        until(lambda: "line 1\n" in self.kubectl("logs", "deployment/talker").stdout)
        self.pod = self.kubectl("get", "pods", "-o", "name").stdout.strip().removeprefix("pod/")

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / ".tools/bin/kubectl"), *arguments], env=self.env, capture_output=True, text=True, timeout=60
        )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + 60
    while not condition():
        assert time.perf_counter() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talker]:
    folder = tmp_path_factory.mktemp("logs")
    with installation(folder) as running:
        yield Talker(running, folder)


def test_logs_of_a_pod_and_of_its_deployment(talker: Talker) -> None:
    for arguments in ((talker.pod,), ("deployment/talker",), (talker.pod, "-c", "main"), ("-l", "app=talker")):
        shown = talker.kubectl("logs", *arguments, "--tail", "-1")
        assert shown.stdout.startswith(f"run {talker.pod}\n"), shown.stderr
        assert "warning\n" in shown.stdout
    skep = talker.running.skep("logs", "deployment/talker")
    assert skep.stdout.startswith(f"run {talker.pod}\n")
    assert skep.stderr == "warning\n"


def test_tail_and_limit_count(talker: Talker) -> None:
    assert len(talker.kubectl("logs", talker.pod, "--tail", "2").stdout.splitlines()) == 2
    assert talker.kubectl("logs", talker.pod, "--limit-bytes", "3").stdout == "run"


def test_follow_goes_on_until_the_caller_goes(talker: Talker) -> None:
    with subprocess.Popen(
        [str(ROOT / ".tools/bin/kubectl"), "logs", "-f", talker.pod, "--tail", "1"],
        env=talker.env, stdout=subprocess.PIPE, text=True,
    ) as following:  # fmt: skip
        assert following.stdout is not None
        numbers = [int(following.stdout.readline().split()[1]) for _ in range(4)]
        following.terminate()
    assert numbers == list(range(numbers[0], numbers[0] + 4))


def test_what_cannot_be_shown_is_said(talker: Talker) -> None:
    refused = {
        ("none",): 'pods "none" not found',
        (talker.pod, "-c", "other"): "container other is not valid for pod",
        (talker.pod, "--previous"): "no previous run",
        (talker.pod, "--since", "1h"): "sinceSeconds: not supported",
    }
    for arguments, reason in refused.items():
        shown = talker.kubectl("logs", *arguments)
        assert (shown.returncode, shown.stdout) == (1, "")
        assert reason in shown.stderr
        assert "InternalError" not in shown.stderr


def test_previous_shows_the_run_that_crashed(talker: Talker) -> None:
    talker.crash.touch()
    until(lambda: "last words\n" in talker.kubectl("logs", talker.pod, "--previous").stdout)
    until(lambda: "last words" not in talker.kubectl("logs", talker.pod).stdout)
    assert "line 1\n" in talker.kubectl("logs", talker.pod).stdout
    assert talker.running.skep("logs", talker.pod, "--previous").stdout.endswith("last words\n")
