"""What local processes wrote. In: a process's name; out: chunks of text, oldest first, followed while it lives when asked.

Reads the files the runtime writes, by polling: they may be cut to nothing under us, and a new one may take their place.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from skep.clients.agent import Chunk, ReadLogs
from skep.errors import NotFound
from skep.workloads.runtime import Runtime

_PART_BYTES = 64 * 1024
_POLL_S = 0.2


class _File:
    """One output file and how far it was read."""

    def __init__(self, stream: str, path: Path) -> None:
        self.stream = stream
        self._path = path
        self._offset = 0
        self._rest = b""

    def seek_lines(self, lines: int) -> None:
        """Begin at the last lines."""
        try:
            content = self._path.read_bytes()
        except OSError:
            return
        places = [place for place, byte in enumerate(content[:-1]) if byte == 0x0A]
        if lines == 0:
            self._offset = len(content)
        elif len(places) >= lines:
            self._offset = places[-lines] + 1

    def read(self, *, rest: bool) -> Chunk | None:
        """Read on, whole lines only; with `rest` also what is left of a line that has no end."""
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._offset:
                    self._offset = 0  # it was cut
                file.seek(self._offset)
                new = file.read(_PART_BYTES)
        except OSError:
            new = b""
        self._offset += len(new)
        content = self._rest + new
        end = content.rfind(b"\n") + 1
        if (rest and not new) or len(content) > _PART_BYTES:
            end = len(content)
        self._rest = content[end:]
        return Chunk(self.stream, content[:end].decode(errors="replace")) if end else None


async def read_logs(runtime: Runtime, request: ReadLogs) -> AsyncIterator[Chunk]:
    """Yield what a process wrote; `NotFound` for an unknown one."""
    process = await runtime.load(request.process)
    if process is None:
        raise NotFound(f"no process named {request.process} runs on this host")
    paths = {"stdout": process.stdout_path, "stderr": process.stderr_path}
    files = [_File(stream, Path(paths[stream])) for stream in request.streams]
    if request.tail >= 0:
        for file in files:
            await asyncio.to_thread(file.seek_lines, request.tail)
    while True:
        known = await runtime.load(request.process)
        last = not request.follow or known is None or known.state == "exited"
        nothing_new = True
        for file in files:
            while (chunk := await asyncio.to_thread(file.read, rest=last)) is not None:
                nothing_new = False
                yield chunk
        if last and nothing_new:
            return
        if nothing_new:
            await asyncio.sleep(_POLL_S)
