"""How often declared objects are compiled."""

from skep.pipeline.pace import LONGEST_S, STREAM, Pace


def test_a_single_change_never_waits() -> None:
    pace = Pace()
    assert pace.may_begin(100.0)
    assert pace.ended(100.0, 100.3, 1) > 0
    assert pace.may_begin(110.0)


def test_cheap_rounds_follow_each_other() -> None:
    pace = Pace()
    assert pace.ended(100.0, 100.01, 500) == 0
    assert pace.may_begin(100.01)


def test_after_an_expensive_round_the_next_waits_as_long_as_it_took() -> None:
    pace = Pace()
    assert round(pace.ended(100.0, 100.3, STREAM), 6) == 0.3
    assert not pace.may_begin(100.5)
    assert pace.may_begin(100.61)


def test_single_changes_one_after_the_other_wait_no_longer_than_a_round() -> None:
    pace, now = Pace(), 100.0
    for _ in range(20):
        pause_s = pace.ended(now, now + 0.25, 1)
        assert round(pause_s, 6) == 0.25
        now += 0.25 + pause_s


def test_a_stream_is_taken_in_larger_steps_up_to_a_limit() -> None:
    pauses = [Pace().ended(100.0, 100.25, changes) for changes in (1, 10, 20, 30, 1000)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1]
    assert pauses[-1] == LONGEST_S
