"""The waits between tries."""

from skep.agent.backoff import Backoff


def test_first_failure_waits_for_nothing_then_waits_double() -> None:
    backoff = Backoff(0.2, 1.0)
    assert [backoff.wait_s(0.1) for _ in range(6)] == [0.0, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_calm_run_starts_over() -> None:
    backoff = Backoff(0.2, 1.0, calm_s=30.0)
    for _ in range(4):
        backoff.wait_s(1.0)
    assert backoff.wait_s(30.0) == 0.0
    assert backoff.wait_s(1.0) == 0.2


def test_reset_starts_over() -> None:
    backoff = Backoff(1.0, 8.0)
    backoff.wait_s(0.0)
    backoff.wait_s(0.0)
    backoff.reset()
    assert backoff.wait_s(0.0) == 0.0


def test_many_failures_never_overflow() -> None:
    backoff = Backoff(0.1, 10.0)
    assert max(backoff.wait_s(0.0) for _ in range(2000)) == 10.0
