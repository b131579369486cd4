import msgspec
import pytest

from skep.api.errors import ERRORS, status_of
from skep.clients.errors import error_from_response
from skep.errors import Invalid, NotFound, SkepError, Unavailable
from skep.model.violation import Violation


@pytest.mark.parametrize("kind", [kind for kind, _, _ in ERRORS])
def test_every_error_comes_back_as_what_it_was(kind: type[SkepError]) -> None:
    status = status_of(kind("what happened, and what to do"))
    back = error_from_response(status["code"], msgspec.json.encode(status))
    assert type(back) is kind
    assert back.message == "what happened, and what to do"


def test_violations_come_back_with_paths_and_codes() -> None:
    found = [
        Violation("spec.rules[0].name", "required", "must be given"),
        Violation("spec.ports[1]", "duplicate", "must be unique"),
        Violation("spec", "too-many", "must be fewer"),
    ]
    status = status_of(Invalid(violations=found))
    back = error_from_response(status["code"], msgspec.json.encode(status))
    assert isinstance(back, Invalid)
    assert list(back.violations) == found


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (502, b"<html>bad gateway</html>", Unavailable, "<html>bad gateway</html>"),
        (404, b"", NotFound, "the server answered 404"),
        (500, b'{"message": "an internal error occurred"}', Unavailable, "an internal error occurred"),
        (422, b'{"details": {"causes": ["x"]}}', Invalid, "the server answered 422"),
        (400, b"\xff\xfe", Invalid, "\ufffd\ufffd"),
    ],
)
def test_answer_that_is_no_status_is_still_an_error(
    status: int, body: bytes, kind: type[SkepError], message: str
) -> None:
    error = error_from_response(status, body)
    assert type(error) is kind
    assert error.message == message
