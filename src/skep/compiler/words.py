"""How conditions are written: one place for their shape and their limits.

In: verdicts. Out: condition documents without times.
"""

from collections.abc import Iterable
from typing import Any

from skep.compiler.listeners import Verdict

LONGEST_MESSAGE = 1024


def condition(kind: str, verdict: Verdict, generation: int) -> dict[str, Any]:
    """Write one condition."""
    return {
        "type": kind,
        "status": "True" if verdict.good else "False",
        "reason": verdict.reason,
        "message": clipped(verdict.message),
        "observedGeneration": generation,
    }


def clipped(message: str) -> str:
    """Shorten a message to what a condition should hold."""
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."


def sentences(parts: Iterable[str]) -> str:
    """Join what there is to say, each thing once."""
    return "; ".join(dict.fromkeys(parts))
