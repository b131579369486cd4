"""Reading what processes wrote, from files that grow, are cut and are replaced."""

import asyncio
import os
from pathlib import Path

import pytest

from skep.agent.logs import Place, read_logs
from skep.clients.agent import ReadLogs
from skep.errors import NotFound


def read(request: ReadLogs, *places: Place | None) -> list[tuple[str, str]]:
    """Read with a `locate` that returns the places in order, the last one again and again."""
    left = list(places)

    async def locate() -> Place | None:
        return left.pop(0) if len(left) > 1 else left[0]

    async def collect() -> list[tuple[str, str]]:
        return [(chunk.stream, chunk.text) async for chunk in read_logs(request, locate)]

    first, *rest = asyncio.run(collect())
    assert first == ("stdout", ""), "says at once that there is something to read"
    return rest


def place(folder: Path, stdout: str = "", stderr: str = "", *, ended: bool = True) -> Place:
    folder.mkdir()
    (folder / "stdout").write_text(stdout)
    (folder / "stderr").write_text(stderr)
    return Place({"stdout": str(folder / "stdout"), "stderr": str(folder / "stderr")}, ended)


def test_all_of_both_streams(tmp_path: Path) -> None:
    found = read(ReadLogs(process="p"), place(tmp_path / "run", "a\nb\n", "oops"))
    assert found == [("stdout", "a\nb\n"), ("stderr", "oops")]


def test_one_stream_only(tmp_path: Path) -> None:
    assert read(ReadLogs(process="p", streams=("stderr",)), place(tmp_path / "run", "a\n", "b\n")) == [
        ("stderr", "b\n")
    ]


@pytest.mark.parametrize(("tail", "expected"), [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")])
def test_last_lines(tmp_path: Path, tail: int, expected: str) -> None:
    found = read(ReadLogs(process="p", tail=tail), place(tmp_path / "run", "a\nb\nc\n"))
    assert "".join(text for _, text in found) == expected


def test_last_lines_are_those_of_the_stream_written_last(tmp_path: Path) -> None:
    both = place(tmp_path / "run", "a\nb\n", "x\ny\n")
    os.utime(tmp_path / "run" / "stderr", (1, 1))
    assert read(ReadLogs(process="p", tail=2), both) == [("stdout", "a\nb\n")]
    assert read(ReadLogs(process="p", tail=3), both) == [("stderr", "y\n"), ("stdout", "a\nb\n")]


def test_no_previous_run_is_said() -> None:
    with pytest.raises(NotFound, match="no previous run"):
        read(ReadLogs(pod="p", previous=True), None)


def test_follow_goes_on_in_the_next_run(tmp_path: Path) -> None:
    first = place(tmp_path / "0", "first\nlast words", ended=False)
    second = place(tmp_path / "1", "second\n")
    found = read(ReadLogs(pod="p", follow=True), first, first, second)
    assert "".join(text for _, text in found) == "first\nlast wordssecond\n"


def test_unknown_process_is_named() -> None:
    with pytest.raises(NotFound, match="nobody"):
        read(ReadLogs(process="nobody"), None)


def test_missing_file_is_empty(tmp_path: Path) -> None:
    assert read(ReadLogs(process="p", tail=3), Place({"stdout": str(tmp_path / "none")}, True)) == []
