"""A disk that can be filled, for tests of what happens then."""

import contextlib
import resource
import subprocess
from pathlib import Path


class Disk:
    """A small disk; where mounting is not allowed, a limit on the size of files, which is met in the same way."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self.processes: list[int] = []
        """Who is limited where nothing may be mounted."""
        folder.mkdir()
        size = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
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
        for pid in self.processes:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size if hard < 0 else min(size, hard), hard))

    def close(self) -> None:
        """Take it away."""
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True, timeout=10)
