"""The order of matches."""

from hypothesis import given
from hypothesis import strategies as st

from skep.compiler.precedence import rank
from skep.ir.match import PathExact, PathPrefix, PathRegex, RequestMatch, ValueMatch
from skep.model.resource import Meta

OLD = Meta("b", "default", created="2026-01-01T00:00:00Z")
YOUNG = Meta("a", "default", created="2026-02-01T00:00:00Z")
HEADER = ValueMatch("a", "1")


def test_matches_are_ordered_as_the_api_says() -> None:
    ordered = [
        RequestMatch(PathExact("/a")),
        RequestMatch(PathRegex("/a.*")),
        RequestMatch(PathPrefix("/a/b"), method=""),
        RequestMatch(PathPrefix("/a"), method="GET", headers=(HEADER,)),
        RequestMatch(PathPrefix("/a"), method="GET"),
        RequestMatch(PathPrefix("/a"), headers=(HEADER, ValueMatch("b", "2"))),
        RequestMatch(PathPrefix("/a"), headers=(HEADER,), queries=(HEADER,)),
        RequestMatch(PathPrefix("/a"), headers=(HEADER,)),
        RequestMatch(PathPrefix("/a"), queries=(HEADER,)),
        RequestMatch(PathPrefix("/a")),
        RequestMatch(),
    ]
    shuffled = [*ordered[5:], *ordered[:5]]
    assert sorted(shuffled, key=lambda match: rank(match, OLD, 0, 0)) == ordered


def test_ties_go_to_the_older_then_to_the_name_then_to_the_first() -> None:
    match = RequestMatch()
    same_age = Meta("a", "default", created=OLD.created)
    keys = [rank(match, same_age, 0, 0), rank(match, OLD, 0, 0), rank(match, OLD, 0, 1), rank(match, OLD, 1, 0)]
    assert sorted([*keys, rank(match, YOUNG, 0, 0)]) == [*keys, rank(match, YOUNG, 0, 0)]


@given(st.integers(0, 15), st.integers(0, 63))
def test_no_two_matches_of_a_route_are_equal(rule: int, place: int) -> None:
    assert rank(RequestMatch(), OLD, rule, place) != rank(RequestMatch(), OLD, rule, place + 1)
