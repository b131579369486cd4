"""Reads the shell examples of a guide: fenced `console` blocks, `$ ` before each command, what it prints below it."""

import re
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^```(\S*) ?(.*)$")


@dataclass
class Step:
    """A command and the lines that its output must hold, in order; `…` stands for anything."""

    line: int
    command: str
    background: bool = False
    expected: list[str] = field(default_factory=list)


def read_steps(guide: Path) -> list[Step]:
    """Return the commands of a guide in order."""
    steps: list[Step] = []
    inside, background = "", False
    for number, line in enumerate(guide.read_text().splitlines(), start=1):
        fence = FENCE.match(line)
        if fence:
            inside = "" if inside else (fence[1] or "plain")
            background = fence[2] == "background"
        elif inside == "console" and line.startswith("$ "):
            steps.append(Step(number, line[2:], background))
        elif inside == "console" and line.strip():
            steps[-1].expected.append(line.strip())
    return steps


def missing_line(expected: list[str], output: str) -> str | None:
    """Return the first expected line that the output does not hold after the ones before it, or None."""
    lines = iter(" ".join(line.split()) for line in output.splitlines())
    for wanted in expected:
        parts = [re.escape(part.strip()) for part in " ".join(wanted.split()).split("…")]
        pattern = re.compile(".*".join(parts))
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None
