"""The small languages inside routing specs."""

import pytest
from hypothesis import given

from skep.routing import text
from tests.support.manifests import hostile_text


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("10s", 10.0), ("1m30s", 90.0), ("500ms", 0.5), ("0s", 0.0), ("1h1m1s1ms", 3661.001), ("99999h", 359996400.0)],
)
def test_durations_are_read(written: str, seconds: float) -> None:
    assert text.duration_s(written) == seconds
    assert text.check_duration("x", written) == []


@pytest.mark.parametrize("written", ["", "10", "1.5s", "-1s", "1d", "1s1s1s1s1s", "100000s", "1s ", "１s"])
def test_other_durations_are_refused(written: str) -> None:
    assert text.duration_s(written) is None
    assert text.check_duration("x", written)


@pytest.mark.parametrize("written", ["shop.example", "*.shop.example", "localhost", "a-1.b"])
def test_hostnames(written: str) -> None:
    assert text.check_hostname("x", written) == []


@pytest.mark.parametrize("written", ["", "*", "Shop.example", "a..b", "-a.b", "10.0.0.1", "a.*.b", "a" * 254, "a.b\n"])
def test_other_hostnames_are_refused(written: str) -> None:
    assert text.check_hostname("x", written)


def test_a_wildcard_is_not_everywhere_allowed() -> None:
    assert text.check_hostname("x", "*.shop.example", wildcard=False)


@pytest.mark.parametrize("written", ["/", "/a/b", "/a%20b", "/a;b=c", "/…"[:1] + "x~y"])
def test_paths(written: str) -> None:
    assert text.check_path("x", written) == []


@pytest.mark.parametrize(
    "written",
    ["", "a", "//", "/a//b", "/./a", "/../a", "/a/..", "/a/.", "/a%2fb", "/a%2Fb", "/a#b", "/a b", "/é", "/%z"],
)
def test_other_paths_are_refused(written: str) -> None:
    assert text.check_path("x", written)


def test_every_mistake_of_a_path_is_named() -> None:
    assert len(text.check_path("x", "a//b#c" + "d" * 1024)) == 4


def test_header_values_hold_no_control_characters() -> None:
    assert text.check_header_value("x", "a\tb, c") == []
    assert text.check_header_value("x", "a\r\nb")
    assert text.check_header_value("x", "")
    assert text.check_header_value("x", "a" * 4097)


def test_replacements_hold_no_query() -> None:
    assert text.check_replacement("x", "") == []
    assert text.check_replacement("x", "/a?b")
    assert text.check_replacement("x", "/a b")
    assert text.check_replacement("x", "/" * 1025)


@pytest.mark.parametrize("written", ["/orders/[0-9]+", "(?i)abc", "a|b"])
def test_expressions(written: str) -> None:
    assert text.check_regex("x", written) == []


@pytest.mark.parametrize("written", ["", "(", "(?=a)", "\\1", "a{1001}", "a" * 1025, "\ud800"])
def test_what_is_not_re2_is_refused(written: str) -> None:
    assert text.check_regex("x", written)


def test_a_wrong_expression_is_not_reported_behind_our_back(capfd: pytest.CaptureFixture[str]) -> None:
    text.check_regex("x", "(")
    assert capfd.readouterr().err == ""


@given(hostile_text)
def test_no_text_makes_a_check_raise(written: str) -> None:
    text.check_duration("x", written)
    text.check_header_name("x", written)
    text.check_header_value("x", written)
    text.check_hostname("x", written)
    text.check_path("x", written)
    text.check_replacement("x", written)
    text.check_regex("x", written)
