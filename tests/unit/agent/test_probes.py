"""Verdicts respect thresholds; ports of a probe are those of the replica."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.agent.probes import Tally, Target, actual_port
from skep.workloads.template import Container, Probe


def probe(success: int = 1, failure: int = 3) -> Probe:
    return Probe.model_validate({"successThreshold": success, "failureThreshold": failure})


def verdicts(tally: Tally, answers: str) -> str:
    return "".join("+" if tally.note(answer == "+") else "-" for answer in answers)


def test_it_turns_at_the_thresholds() -> None:
    assert verdicts(Tally(probe(), good=False), "--+--+---+") == "--++++++-+"
    assert verdicts(Tally(probe(success=2, failure=1), good=False), "+-++-++") == "---+--+"


def test_failed_is_told_from_not_yet_good() -> None:
    tally = Tally(probe(failure=2), good=False)
    tally.note(False)
    assert not tally.failed
    tally.note(False)
    assert tally.failed
    tally.note(True)
    assert not tally.failed


@given(st.text("+-", max_size=30), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_verdict_is_that_of_the_last_run_that_was_long_enough(
    answers: str, success: int, failure: int, start: bool
) -> None:
    tally = Tally(probe(success, failure), good=start)
    verdicts(tally, answers)
    positions = {True: answers.rfind("+" * success), False: answers.rfind("-" * failure)}
    ends = {True: positions[True] + success, False: positions[False] + failure}
    found = [verdict for verdict in (True, False) if positions[verdict] >= 0]
    expected = max(found, key=lambda verdict: ends[verdict]) if found else start
    assert tally.good is expected


@pytest.mark.parametrize(
    ("ports", "port", "expected"),
    [
        ([{"containerPort": 8080, "name": "web"}], 8080, 4711),
        ([{"containerPort": 8080, "name": "web"}], "web", 4711),
        ([{"containerPort": 8080}], 9090, 9090),
        ([], 8080, 4711),
    ],
)
def test_declared_ports_stand_for_the_replicas_own(ports: list[dict[str, Any]], port: int | str, expected: int) -> None:
    target = Target(container=Container.model_validate({"name": "x", "ports": ports}), port=4711, env={})
    assert actual_port(port, target) == expected
