"""Errors are lines: what and where, then what to do."""

import pytest

from skep.cli.failure import NEXT, describe_failure
from skep.errors import Conflict, Denied, Invalid, NotFound, SkepError, Unauthenticated, Unavailable, Unsupported
from skep.model.violation import Violation


@pytest.mark.parametrize("kind", [Conflict, Denied, NotFound, Unauthenticated, Unsupported])
def test_every_error_says_what_to_do_next(kind: type[SkepError]) -> None:
    first, second = describe_failure(kind("it went wrong at x"))
    assert first == "error: it went wrong at x"
    assert second == f"next: {NEXT[kind]}"


def test_advice_in_the_message_comes_second() -> None:
    error = Unavailable("port 7400 on 127.0.0.1 is taken; choose another with --http-port")
    assert describe_failure(error) == [
        "error: port 7400 on 127.0.0.1 is taken",
        "next: choose another with --http-port",
    ]


def test_a_server_that_is_not_there() -> None:
    lines = describe_failure(Unavailable("http://h:1: no server answers there (all; failed); is `skep up` running?"))
    assert lines[0] == "error: http://h:1: no server answers there"
    assert "skep up" in lines[1]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NotFound('pods "a" not found'), "skep get pods -A"),
        (NotFound('httproutes.gateway.networking.k8s.io "a" not found'), "skep get httproutes -A"),
        (NotFound('namespaces "a" not found'), "create it"),
        (Invalid("a.yaml: no such file or directory"), "check the path"),
    ],
)
def test_advice_fits_what_is_missing(error: SkepError, advice: str) -> None:
    first, second = describe_failure(error)
    assert first == f"error: {error.message}"
    assert advice in second


def test_every_violation_has_its_line() -> None:
    violations = [Violation("spec.a", "required", "required value"), Violation("spec.b[0]", "invalid", "must be x")]
    assert describe_failure(Invalid('Service "a" is invalid: [spec.a: …]', violations)) == [
        'error: Service "a" is invalid',
        "  spec.a: required value",
        "  spec.b[0]: must be x",
        f"next: {NEXT[Invalid]}",
    ]


@pytest.mark.parametrize("kind", [Conflict, Invalid])
def test_advice_fits_the_error_and_not_only_its_kind(kind: type[SkepError]) -> None:
    lines = describe_failure(kind("port 9000 is taken by another program; choose another --port, or none"))
    assert lines == ["error: port 9000 is taken by another program", "next: choose another --port, or none"]
