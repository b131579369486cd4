"""A control plane whose disk is full: it refuses writes and says why, goes on answering reads, and recovers by itself."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.installation import free_ports

MANIFEST = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}, "data": {"a": "%s"}}'


class Disk:
    """A disk of 6 MB; where mounting is not allowed, a limit on the size of files, which is met in the same way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = 0
        folder.mkdir()
        size = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
        self.mounted = subprocess.run(size, capture_output=True, timeout=10, check=False).returncode == 0

    def fill(self) -> None:
        """Leave no room."""
        if not self.mounted:
            self._limit(2_000_000)
            return
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    def free(self) -> None:
        """Make room again."""
        if self.mounted:
            (self.folder / "ballast").unlink()
        else:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        _, hard = resource.prlimit(self.server, resource.RLIMIT_FSIZE)
        resource.prlimit(self.server, resource.RLIMIT_FSIZE, (size if hard < 0 else min(size, hard), hard))

    def close(self) -> None:
        """Take it away."""
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True, timeout=10)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk that can be filled and freed."""
    made = Disk(tmp_path / "disk")
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
    disk.server = server.pid

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
