"""Matches, and the certain start of a path."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from skep.ir.match import PathExact, PathMatch, PathPrefix, PathRegex, RequestMatch, ValueMatch
from skep.xds.translate.match import literal_start, regex_start, translate_match

QUIET = re2.Options()
QUIET.log_errors = False


def test_every_condition_is_translated() -> None:
    match = RequestMatch(PathPrefix("/a"), "PUT", (ValueMatch("x-h", "v.*", regex=True),), (ValueMatch("q", "1"),))
    out = translate_match(match)
    assert out.path_separated_prefix == "/a"
    assert [(h.name, h.string_match.exact, h.string_match.safe_regex.regex) for h in out.headers] == [
        (":method", "PUT", ""),
        ("x-h", "", "v.*"),
    ]
    assert [(q.name, q.string_match.exact) for q in out.query_parameters] == [("q", "1")]


def test_root_prefix_takes_everything_and_trailing_slashes_do_not_count() -> None:
    assert translate_match(RequestMatch()).prefix == "/"
    assert translate_match(RequestMatch(PathPrefix("/a/"))).path_separated_prefix == "/a"
    assert translate_match(RequestMatch(PathExact("/a/"))).path == "/a/"
    assert translate_match(RequestMatch(PathRegex("/a|/b"))).safe_regex.regex == "/a|/b"


@pytest.mark.parametrize(
    ("path", "start"),
    [
        (PathExact("/a"), "/a"),
        (PathPrefix("/"), "/"),
        (PathPrefix("/a/"), "/a"),
        (PathRegex("/a/b.*"), "/a/b"),
        (PathRegex("/ab*"), "/a"),
        (PathRegex("/ab?c"), "/a"),
        (PathRegex("/ab{0,2}"), "/a"),
        (PathRegex("/ab+"), "/ab"),
        (PathRegex("^/a(b|c)"), ""),
        (PathRegex("(?i)/a"), ""),
        (PathRegex("*"), ""),
    ],
)
def test_start_of_a_path_is_what_is_certain(path: PathMatch, start: str) -> None:
    assert literal_start(RequestMatch(path)) == start


@given(st.text("/ab.*?+()|[]^$\\", max_size=8), st.text("/ab", max_size=6))
def test_whatever_an_expression_takes_begins_with_its_start(regex: str, path: str) -> None:
    try:
        taken = re2.compile(regex, QUIET).fullmatch(path)
    except re2.error:
        return
    if taken:
        assert path.startswith(regex_start(regex))
