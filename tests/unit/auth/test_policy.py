"""Who may do what: people declare, agents report what runs."""

import pytest

from skep.auth.policy import READ_VERBS, RUNNING, Role, Subject, allows, why_denied
from skep.kinds import KINDS

ADMIN, AGENT = (Subject(role.value, role) for role in (Role.ADMIN, Role.AGENT))
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@pytest.mark.parametrize("verb", sorted(READ_VERBS))
def test_everybody_with_a_token_reads(verb: str) -> None:
    assert all(allows(subject, verb, kind.resource) for subject in (ADMIN, AGENT) for kind in KINDS)


def test_people_write_what_is_declared_and_not_what_runs() -> None:
    for kind in KINDS:
        for verb in WRITES:
            assert allows(ADMIN, verb, kind.resource) is not kind.read_only
    assert {kind.resource for kind in KINDS if kind.read_only} == RUNNING
    assert not allows(ADMIN, "patch", "pods", "status")
    assert "Deployment" in (why_denied(ADMIN, "delete", "pods") or "")


def test_agents_write_only_what_they_observe() -> None:
    for resource, subresource in (("pods", ""), ("pods", "status"), ("events", ""), ("registry", "")):
        assert allows(AGENT, "patch", resource, subresource)
    for resource in ("deployments.apps", "secrets", "services", "namespaces", "instances.skep.dev"):
        assert not allows(AGENT, "create", resource)
    assert not allows(AGENT, "update", "deployments.apps", "status")
