"""The memory of the compiler: what is recomputed, what is not, what is forgotten."""

from skep.compiler.memo import Memo

ran: list[str] = []


def doubled(memo: Memo, name: str) -> int:
    ran.append(f"doubled {name}")
    return (memo.fact(name) or 0) * 2


def is_positive(memo: Memo, name: str) -> bool:
    ran.append(f"is_positive {name}")
    return memo.get(doubled, name) > 0


def described(memo: Memo, name: str) -> str:
    ran.append(f"described {name}")
    return "positive" if memo.get(is_positive, name) else "not positive"


def chosen(memo: Memo) -> int:
    ran.append("chosen")
    return memo.get(doubled, "a" if memo.fact("use-a") else "b")


def runs() -> list[str]:
    seen, ran[:] = list(ran), []
    return seen


def test_a_unit_runs_once_until_what_it_read_changes() -> None:
    runs()
    memo = Memo()
    memo.set("a", 1)
    assert (memo.get(doubled, "a"), memo.get(doubled, "a")) == (2, 2)
    assert runs() == ["doubled a"]
    memo.set("b", 5)
    assert memo.get(doubled, "a") == 2
    assert runs() == []
    memo.set("a", 3)
    assert memo.get(doubled, "a") == 6
    assert runs() == ["doubled a"]


def test_an_equal_result_stops_the_wave() -> None:
    memo = Memo()
    memo.set("a", 1)
    assert memo.watch(described, "a") == "positive"
    runs()
    memo.set("a", 2)
    assert list(memo.stale()) == [(described, ("a",))]
    assert memo.get(described, "a") == "positive"
    assert runs() == ["doubled a", "is_positive a"]
    memo.set("a", None)
    assert memo.get(described, "a") == "not positive"
    assert runs() == ["doubled a", "is_positive a", "described a"]


def test_an_absent_fact_is_a_dependency() -> None:
    memo = Memo()
    assert memo.watch(doubled, "later") == 0
    memo.set("later", 4)
    assert list(memo.stale()) == [(doubled, ("later",))]
    assert memo.get(doubled, "later") == 8


def test_dependencies_follow_the_last_run() -> None:
    memo = Memo()
    memo.set("a", 1)
    memo.set("b", 2)
    memo.set("use-a", True)
    assert memo.watch(chosen) == 2
    memo.set("use-a", None)
    assert list(memo.stale()) == [(chosen, ())]
    assert memo.get(chosen) == 4
    memo.set("a", 9)
    assert list(memo.stale()) == []
    memo.set("b", 7)
    assert list(memo.stale()) == [(chosen, ())]
    assert memo.get(chosen) == 14


def test_what_nobody_watches_is_forgotten() -> None:
    memo = Memo()
    memo.watch(is_positive, "absent")
    assert len(memo) == 3
    memo.unwatch(is_positive, "absent")
    assert len(memo) == 0
