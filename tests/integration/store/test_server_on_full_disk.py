"""A control plane whose disk is full: it refuses writes and says why, goes on answering reads, and recovers by itself."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.disk import Disk
from tests.support.installation import free_ports

MANIFEST = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}, "data": {"a": "%s"}}'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk that can be filled and freed."""
    made = Disk(tmp_path / "disk", megabytes=6)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def skep(disk: Disk) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run a server on the disk, and return what runs `skep` commands against it."""
    ports = dict(zip(("SKEP_HTTP_PORT", "SKEP_GRPC_PORT"), map(str, free_ports(2)), strict=True))
    env = {"PATH": os.defpath, "SKEP_DATA_DIR": str(disk.folder / "data"), **ports}
    command = [sys.executable, "-m", "skep.cli.main"]
    server = subprocess.Popen([*command, "server"], env=env, stderr=subprocess.DEVNULL)
    disk.processes.append(server.pid)

    def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], env=env, input=text, capture_output=True, text=True, timeout=60)

    try:
        deadline = time.perf_counter() + 60
        while run("get", "ns").returncode:
            assert server.poll() is None
            assert time.perf_counter() < deadline
        yield run
    finally:
        server.terminate()
        assert server.wait(30) == 0


def test_writes_are_refused_reads_go_on_and_space_heals(
    disk: Disk, skep: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert skep("apply", "-f", "-", text=MANIFEST % ("before", "1")).returncode == 0
    disk.fill()
    refused = None
    for number in range(50):  # the database has a little room of its own before it needs the disk
        refused = skep("apply", "-f", "-", text=MANIFEST % (f"n{number}", "x" * 300_000))
        if refused.returncode:
            break
    assert refused is not None
    assert refused.returncode == 1
    assert "skep.db" in refused.stderr
    assert "nothing was written" in refused.stderr
    assert "free space" in refused.stderr
    assert "before" in skep("get", "configmaps").stdout
    disk.free()
    assert skep("apply", "-f", "-", text=MANIFEST % ("after", "1")).stdout == "configmap/after created\n"
