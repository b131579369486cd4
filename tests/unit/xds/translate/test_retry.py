"""What is repeated without being asked."""

from skep.xds.translate.retry import NOT_IDEMPOTENT, SAFE_FOR_EVERY_METHOD, SAFE_WHEN_IDEMPOTENT, default_retry


def test_only_what_no_application_acted_on_is_repeated_for_every_method() -> None:
    assert SAFE_WHEN_IDEMPOTENT not in SAFE_FOR_EVERY_METHOD.split(",")
    assert "5xx" not in SAFE_FOR_EVERY_METHOD
    assert {"POST", "PATCH"} <= set(NOT_IDEMPOTENT)
    policy = default_retry()
    assert policy.retry_on == SAFE_FOR_EVERY_METHOD
    assert [header.name for header in policy.retriable_headers] == ["x-skep-retriable"]
    assert [predicate.name for predicate in policy.retry_host_predicate] == [
        "envoy.retry_host_predicates.previous_hosts"
    ]
    assert not policy.HasField("per_try_timeout")


def test_an_attempt_may_have_a_limit() -> None:
    assert default_retry(0.25).per_try_timeout.ToMilliseconds() == 250
