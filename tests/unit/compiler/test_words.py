"""How conditions are written."""

from skep.compiler.listeners import Verdict
from skep.compiler.words import LONGEST_MESSAGE, clipped, condition, sentences


def test_a_condition_has_its_generation_and_no_time() -> None:
    verdict = Verdict(good=False, reason="Invalid", message="no")
    assert condition("Programmed", verdict, 3) == {
        "type": "Programmed",
        "status": "False",
        "reason": "Invalid",
        "message": "no",
        "observedGeneration": 3,
    }


def test_long_messages_are_clipped() -> None:
    assert clipped("a" * LONGEST_MESSAGE) == "a" * LONGEST_MESSAGE
    assert len(clipped("a" * 5000)) == LONGEST_MESSAGE


def test_each_thing_is_said_once() -> None:
    assert sentences(["b", "a", "b"]) == "b; a"
