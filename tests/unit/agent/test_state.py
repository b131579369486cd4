"""What the agent remembers on disk."""

from pathlib import Path

import pytest

from skep.agent.state import StateFolder, write_private
from skep.errors import Unavailable
from skep.model.node import Address


def test_records_come_back_and_go(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state", Address)
    folder.save("a", Address("127.0.0.1", 1))
    folder.save("a", Address("127.0.0.1", 2))
    folder.save("b", Address("127.0.0.1", 3))
    folder.remove("b")
    folder.remove("never")
    assert StateFolder(tmp_path / "state", Address).load() == {"a": Address("127.0.0.1", 2)}
    assert (tmp_path / "state" / "a.json").stat().st_mode & 0o777 == 0o600


def test_unreadable_record_is_set_aside(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, Address)
    folder.save("good", Address("127.0.0.1", 1))
    (tmp_path / "bad.json").write_text("{")
    assert set(folder.load()) == {"good"}
    assert (tmp_path / "bad.unreadable").exists()


def test_write_that_fails_names_the_file_and_leaves_the_old(tmp_path: Path) -> None:
    target = tmp_path / "folder-in-the-way"
    target.mkdir()
    with pytest.raises(Unavailable, match="folder-in-the-way"):
        write_private(target, b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder-in-the-way"]
