"""What the agent remembers of its proxies across its own death: one small JSON file each, private to the user.

In and out: records. A file that cannot be read is set aside, never trusted and never fatal.
"""

import contextlib
import logging
import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from skep.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")


class StateFolder(Generic[T]):
    """A folder of records of one type, by name."""

    def __init__(self, folder: Path, record: type[T]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._decoder = msgspec.json.Decoder(record)

    def save(self, name: str, record: T) -> None:
        """Replace a record; a reader sees the old one or the new one, never a part."""
        write_private(self._folder / f"{name}.json", msgspec.json.encode(record))

    def remove(self, name: str) -> None:
        """Forget a record; nothing when unknown."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def load(self) -> dict[str, T]:
        """Read all records by name."""
        found: dict[str, T] = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                found[path.stem] = self._decoder.decode(path.read_bytes())
            except (OSError, msgspec.DecodeError) as error:
                log.warning("%s: set aside, it cannot be read: %s", path, error)
                path.rename(path.with_suffix(".unreadable"))
        return found


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, readable by the user only."""
    trial = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        trial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            trial.unlink(missing_ok=True)
        raise Unavailable(f"{path}: cannot be written: {error.strerror}") from error
