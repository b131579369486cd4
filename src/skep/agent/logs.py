"""What local processes wrote. In: a process's name; out: chunks of text, oldest first, followed while it lives when asked.

Reads the files the runtime writes, by polling: they may be cut to nothing under us, and a new one may take their place.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from skep.clients.agent import Chunk, ReadLogs
from skep.errors import NotFound

_PART_BYTES = 64 * 1024
_POLL_S = 0.2


class Place(msgspec.Struct, frozen=True):
    """Where something writes now."""

    paths: Mapping[str, str]
    """Of each stream."""
    ended: bool
    """Nothing more will come."""


Locate = Callable[[], Awaitable[Place | None]]
"""Finds the place; None when there is nothing to read any more."""


class _File:
    """One output file and how far it was read."""

    def __init__(self, stream: str, path: Path) -> None:
        self.stream = stream
        self._path = path
        self._offset = 0
        self._rest = b""

    def seek_lines(self, lines: int) -> int:
        """Begin at the last lines; return how many there are."""
        try:
            content = self._path.read_bytes()
        except OSError:
            return 0
        place, found = len(content), 0
        while found < lines and place > 0:
            place = content.rfind(b"\n", 0, place - 1) + 1
            found += 1
        self._offset = place
        return found

    def written_at(self) -> float:
        """Return when it was last written to."""
        try:
            return self._path.stat().st_mtime
        except OSError:
            return 0.0

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


async def read_logs(request: ReadLogs, locate: Locate) -> AsyncIterator[Chunk]:
    """Yield what was written where `locate` says; when the place changes, on from the new place's beginning."""
    place = await locate()
    if place is None:
        what = "has no previous run" if request.previous else "does not run"
        raise NotFound(f"{request.process or request.pod} {what} on this host")
    yield Chunk("stdout", "")
    files = _open(request, place)
    if request.tail >= 0:
        files = await asyncio.to_thread(_tail, files, request.tail)
    while True:
        now = await locate()
        moved = now is not None and now.paths != place.paths
        last = not request.follow or now is None or now.ended
        nothing_new = True
        for file in files:
            while (chunk := await asyncio.to_thread(file.read, rest=last or moved)) is not None:
                nothing_new = False
                yield chunk
        if moved and request.follow and now is not None:
            place, files = now, _open(request, now)
        elif last and nothing_new:
            return
        elif nothing_new:
            await asyncio.sleep(_POLL_S)


def _open(request: ReadLogs, place: Place) -> list[_File]:
    return [_File(stream, Path(path)) for stream, path in place.paths.items() if stream in request.streams]


def _tail(files: list[_File], lines: int) -> list[_File]:
    """Begin at the last lines of all: nobody knows how two streams interleave, so the one written last goes first."""
    ordered = sorted(files, key=_File.written_at)
    for file in reversed(ordered):
        lines -= file.seek_lines(lines)
    return ordered
