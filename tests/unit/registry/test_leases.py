from hypothesis import given
from hypothesis import strategies as st

from skep.model.instance import InstanceKey
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.registry.leases import TICK_S, Leases


def key(number: int) -> InstanceKey:
    return InstanceKey(Namespace("default"), ServiceName("orders"), InstanceId(f"i{number}"))


def test_lease_runs_out_only_after_its_length() -> None:
    leases = Leases()
    leases.grant(key(1), 15.0, 0.0, "agent")
    assert leases.overdue(14.99) == []
    assert leases.overdue(15.0 + 2 * TICK_S) == [key(1)]


def test_renewed_lease_lives_on_and_runs_out_later() -> None:
    leases = Leases()
    leases.grant(key(1), 10.0, 0.0, "agent")
    assert leases.renew(key(1), 9.0)
    assert leases.overdue(18.9) == []
    assert leases.overdue(19.0 + 2 * TICK_S) == [key(1)]


def test_unknown_lease_is_not_renewed() -> None:
    assert not Leases().renew(key(1), 0.0)


def test_overdue_lease_is_reported_until_dropped() -> None:
    leases = Leases()
    leases.grant(key(1), 1.0, 0.0, None)
    assert leases.overdue(5.0) == [key(1)]
    assert leases.overdue(6.0) == [key(1)]
    leases.drop(key(1))
    assert leases.overdue(7.0) == []
    assert len(leases) == 0


def test_shorter_lease_takes_effect_at_once() -> None:
    leases = Leases()
    leases.grant(key(1), 3600.0, 0.0, "agent")
    leases.grant(key(1), 2.0, 1.0, "agent")
    assert leases.overdue(3.0 + 2 * TICK_S) == [key(1)]


def test_dropped_and_granted_again_is_one_lease() -> None:
    leases = Leases()
    leases.grant(key(1), 2.0, 0.0, "agent")
    leases.drop(key(1))
    leases.grant(key(1), 2.0, 1.0, "agent")
    assert leases.overdue(2.9) == []
    assert leases.overdue(4.0) == [key(1)]


def test_lease_that_nobody_renewed_since_the_start_says_so() -> None:
    leases = Leases()
    leases.grant(key(1), 15.0, 3.0, None)
    lease = leases.get(key(1))
    assert lease is not None
    assert (lease.heard_s, lease.heard_by, lease.expires_s) == (None, "", 18.0)
    leases.renew(key(1), 4.0, "agent/a")
    assert (lease.heard_s, lease.heard_by, lease.expires_s) == (4.0, "agent/a", 19.0)


def test_time_in_which_nobody_could_be_heard_does_not_count() -> None:
    leases = Leases()
    leases.grant(key(1), 10.0, 0.0, "agent")
    leases.grant(key(2), 10.0, 4.0, "agent")
    leases.forgive(60.0, 62.0)
    assert leases.overdue(69.9) == []
    assert leases.overdue(70.5) == [key(1)]
    leases.drop(key(1))
    assert leases.overdue(71.9) == []
    assert leases.overdue(72.5) == [key(2)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["grant", "renew", "drop", "sweep"]),
        st.integers(0, 5),
        st.floats(0.0, 7.0),
        st.floats(1.0, 9.0),
    ),
    max_size=60,
)


@given(STEPS)
def test_sweep_finds_just_those_whose_time_has_passed(steps: list[tuple[str, int, float, float]]) -> None:
    """Against a plain dictionary of expiry times, at any sequence of events and any pauses."""
    leases, expected, now = Leases(), dict[InstanceKey, tuple[float, float]](), 0.0
    for action, number, pause, length in steps:
        now += pause
        name = key(number)
        if action == "grant":
            leases.grant(name, length, now, "a")
            expected[name] = (now + length, length)
        elif action == "renew":
            assert leases.renew(name, now) == (name in expected)
            if name in expected:
                expected[name] = (now + expected[name][1], expected[name][1])
        elif action == "drop":
            leases.drop(name)
            expected.pop(name, None)
        else:
            found = set(leases.overdue(now))
            assert found <= {name for name, (expires, _) in expected.items() if expires <= now}
            for name in found:
                leases.drop(name)
                del expected[name]
    now += 2 * TICK_S
    found = set(leases.overdue(now))
    assert found >= {name for name, (expires, _) in expected.items() if expires <= now - 2 * TICK_S}
