from pathlib import Path

from tests.support.guides import Step, missing_line, read_steps

GUIDE = """
```sh
$ not this
```
```console
$ skep get pods
… hello …
$ true
```
```console background
$ sleep 9
```
"""


def test_steps_are_read_from_console_blocks(tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text(GUIDE)
    assert read_steps(tmp_path / "guide.md") == [
        Step(6, "skep get pods", False, ["… hello …"]),
        Step(8, "true"),
        Step(11, "sleep 9", True),
    ]


def test_expected_lines_must_come_in_order() -> None:
    output = "NAME    READY\nhello-1   1/1  \nbye-2 0/1\n"
    assert missing_line(["hello-… 1/1", "bye…"], output) is None
    assert missing_line(["bye…", "hello…"], output) == "hello…"
    assert missing_line(["hello"], output) == "hello"
    assert missing_line(["…0/1…"], output) is None
