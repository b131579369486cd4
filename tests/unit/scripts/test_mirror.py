from pathlib import Path

from scripts.mirror import has_behaviour, missing

RECORDS = '''
class Point(Struct):
    """A point."""

    x: int

    @property
    def y(self) -> int:
        """Same."""
        return self.x

    def __repr__(self) -> str:
        return "p"


class Source(Protocol):
    def answer(self) -> int:
        """Say."""
        ...
'''


def test_records_and_interfaces_have_nothing_to_test() -> None:
    assert not has_behaviour(RECORDS)
    assert has_behaviour(RECORDS + "\ndef plan() -> None:\n    pass\n")
    assert has_behaviour("class A:\n    def move(self) -> int:\n        return 1\n")


def test_a_pure_file_without_its_test_is_named(tmp_path: Path) -> None:
    package, tests = tmp_path / "skep", tmp_path / "unit"
    for name in ("xds/session.py", "xds/translate/route.py", "xds/translate/__init__.py", "xds/runner.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("def plan() -> None:\n    pass\n")
    wanted = tests / "xds/translate/test_route.py"
    assert missing(package, tests) == [
        (package / "xds/translate/route.py", wanted),
        (package / "xds/session.py", tests / "xds/test_session.py"),
    ]
    wanted.parent.mkdir(parents=True)
    wanted.write_text("")
    assert [file.name for file, _ in missing(package, tests)] == ["session.py"]
