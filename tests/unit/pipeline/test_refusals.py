"""Which declaration is set aside when a proxy refuses a response."""

from itertools import permutations

from skep.ir.route import Origin
from skep.model.names import Namespace, ObjectRef
from skep.pipeline.refusals import NOTHING, Refusals
from skep.xds.snapshot import Demand, Encoded

ONE = DEMAND = Demand("routes", "gateway/a/b/80", Namespace("a"))
TWO = Demand("routes", "gateway/a/b/443", Namespace("a"))


def origin(name: str, generation: int = 1) -> Origin:
    return Origin(ObjectRef("g", "HTTPRoute", "ns", name), generation)


def encoded(version: str, *origins: Origin, name: str = DEMAND.name) -> Encoded:
    return Encoded(name, version, b"", tuple((each, f"{each.ref.name}{each.generation}") for each in origins))


def refused(refusals: Refusals, message: str, *resources: Encoded) -> list[str]:
    return [each.ref.name for each in refusals.refused(DEMAND, resources, message).set_aside]


def test_only_what_changed_since_the_last_accepted_is_suspect() -> None:
    refusals = Refusals()
    assert refusals.accepted(DEMAND, [encoded("1", origin("a"), origin("b"))], lambda _: None) == NOTHING
    assert refused(refusals, "bad", encoded("2", origin("a"), origin("b", 2))) == ["b"]


def test_a_resource_named_in_the_message_is_the_only_suspect() -> None:
    one, two = encoded("1", origin("a"), name="gateway/x"), encoded("1", origin("b"), name="gateway/y")
    assert refused(Refusals(), "cannot bind gateway/y", one, two) == ["b"]


def test_several_suspects_are_taken_back_until_the_guilty_one_is_alone() -> None:
    """Play a proxy that refuses whatever holds `c`."""
    refusals = Refusals()
    origins = {name: origin(name) for name in "abcdefgh"}
    aside: set[str] = set()
    for version in range(40):
        offered = encoded(str(version), *(each for name, each in origins.items() if name not in aside))
        if "c" in origins.keys() - aside:
            verdict = refusals.refused(DEMAND, [offered], "no")
        else:
            verdict = refusals.accepted(DEMAND, [offered], lambda _: None)
            if verdict == NOTHING:
                break
        aside |= {each.ref.name for each in verdict.set_aside}
        aside -= {each.ref.name for each in verdict.take_back}
    assert aside == {"c"}


def test_two_tables_that_hold_the_guilty_one_do_not_free_it_for_each_other() -> None:
    """Play a proxy with two tables, which refuses whatever holds `c`; its answers come in any order."""
    for order in permutations((ONE, TWO)):
        refusals = Refusals()
        origins = {name: origin(name) for name in "abcdefgh"}
        aside: set[str] = set()
        offered: dict[Demand, frozenset[str] | None] = dict.fromkeys(order)
        for version in range(200):
            for demand in order:
                held = frozenset(origins.keys() - aside)
                if offered[demand] == held and demand not in refusals.on_trial():
                    continue
                offered[demand] = held
                resource = encoded(str(version), *(origins[name] for name in sorted(held)), name=demand.name)
                if "c" in held:
                    verdict = refusals.refused(demand, [resource], "no")
                else:
                    verdict = refusals.accepted(demand, [resource], lambda _: None)
                aside |= {each.ref.name for each in verdict.set_aside}
                aside -= {each.ref.name for each in verdict.take_back}
        assert aside == {"c"}
        assert refusals.on_trial() == ()


def test_what_was_taken_is_noted_once() -> None:
    refusals, noted = Refusals(), list[str]()
    resource = encoded("1", origin("a"))
    for _ in range(2):
        refusals.accepted(DEMAND, [resource], lambda each: noted.append(each.ref.name))
    assert noted == ["a"]
