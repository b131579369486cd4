"""How often declared objects are compiled."""

from skep.pipeline.pace import LONGEST_S, Pace


def test_a_single_change_never_waits() -> None:
    pace = Pace()
    assert pace.may_begin(100.0)
    assert pace.ended(100.0, 100.3) > 0
    assert pace.may_begin(110.0)


def test_cheap_rounds_follow_each_other() -> None:
    pace = Pace()
    assert pace.ended(100.0, 100.01) == 0
    assert pace.may_begin(100.01)


def test_after_an_expensive_round_the_next_waits_as_long_as_it_took() -> None:
    pace = Pace()
    pause_s = pace.ended(100.0, 100.3)
    assert round(pause_s, 6) == 0.3
    assert not pace.may_begin(100.5)
    assert pace.may_begin(100.61)


def test_a_stream_is_taken_in_larger_steps_up_to_a_limit_and_quiet_ends_it() -> None:
    pace, now = Pace(), 100.0
    pauses = []
    for _ in range(12):
        pauses.append(pace.ended(now, now + 0.25))
        now += 0.25 + pauses[-1]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_S
    now += 1
    assert round(pace.ended(now, now + 0.25), 6) == 0.25
