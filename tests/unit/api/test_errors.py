"""Errors over HTTP: each class of the tree has its status, and what it is about is told."""

import pytest

from skep import errors
from skep.api.errors import ERRORS, Problem, Subject, internal_error, status_of, success
from skep.api.reply import reply, reply_error
from skep.errors import Conflict, Expired, Invalid, NotFound, SkepError, Unauthenticated, Unavailable
from skep.model.violation import Violation

ROUTE = Subject("gateway.networking.k8s.io", "HTTPRoute", "httproutes", "web")


def test_every_class_of_the_tree_has_a_status() -> None:
    tree = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, SkepError)} - {SkepError}
    assert {known for known, _, _ in ERRORS} == tree
    assert all(400 <= status < 500 or known is Unavailable for known, status, _ in ERRORS)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (NotFound("gone"), 404, "NotFound"),
        (Conflict("changed"), 409, "Conflict"),
        (Expired("old"), 410, "Expired"),
        (Invalid("what"), 400, "BadRequest"),
        (Problem(413, "RequestEntityTooLarge", "big"), 413, "RequestEntityTooLarge"),
        (SkepError("other"), 500, "InternalError"),
    ],
)
def test_status_has_code_reason_message_and_details(error: SkepError, code: int, reason: str) -> None:
    status = status_of(error, ROUTE)
    assert (status["code"], status["reason"], status["message"]) == (code, reason, error.message)
    assert status["details"] == {"name": "web", "group": "gateway.networking.k8s.io", "kind": "httproutes"}
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")


def test_violations_are_all_told_with_their_causes() -> None:
    error = Invalid(
        violations=[Violation("spec.a", "required", "required value"), Violation("spec.b", "new-word", "bad")]
    )
    status = status_of(error, ROUTE)
    assert status["message"] == (
        'HTTPRoute.gateway.networking.k8s.io "web" is invalid: [spec.a: required value, spec.b: bad]'
    )
    assert status["details"]["kind"] == "HTTPRoute"
    assert status["details"]["causes"] == [
        {"reason": "FieldValueRequired", "message": "required value", "field": "spec.a"},
        {"reason": "FieldValueInvalid", "message": "bad", "field": "spec.b"},
    ]


def test_endless_violations_are_cut() -> None:
    status = status_of(Invalid(violations=[Violation(f"a[{n}]", "invalid", "bad") for n in range(600)]))
    assert len(status["details"]["causes"]) == 500
    assert status["message"].endswith("and 100 more]")


def test_headers_tell_when_and_how_to_try_again() -> None:
    assert reply_error(Unavailable("disk full")).headers["retry-after"] == "1"
    assert reply_error(Unauthenticated()).headers["www-authenticate"].startswith("Bearer")


def test_warnings_fit_a_header_whatever_they_hold() -> None:
    response = reply({}, warnings=['say "ä\r\nX-Evil: 1"\\', *("w" for _ in range(60))])
    headers = response.headers.getlist("warning")
    assert headers[0] == '299 - "say \\"???X-Evil: 1\\"\\\\"'
    assert len(headers) == 33


def test_internal_error_and_success_say_no_more_than_needed() -> None:
    assert internal_error()["code"] == 500
    assert "details" not in internal_error()
    assert success(ROUTE, "uid-1")["details"]["uid"] == "uid-1"
