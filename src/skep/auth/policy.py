"""Who may do what: a pure decision over a subject, a verb and a resource. In: records; out: None or the reason.

It knows nothing of tokens, HTTP or the store, and must never look anything up.
"""

from enum import StrEnum

import msgspec

READ_VERBS = frozenset({"get", "list", "watch"})
RUNNING = frozenset({"pods", "instances.skep.dev"})
"""What is running rather than declared: written by the platform, read by people."""
AGENT_WRITES = frozenset({"pods", "pods/status", "events", "registry"})


class Role(StrEnum):
    """What kind of caller a token belongs to."""

    ADMIN = "admin"
    AGENT = "agent"


class Subject(msgspec.Struct, frozen=True):
    """Who is calling."""

    name: str
    role: Role


def why_denied(subject: Subject, verb: str, resource: str, subresource: str = "") -> str | None:
    """Return None when the subject may do it, else the reason, to be shown to them."""
    if verb in READ_VERBS:
        return None
    target = f"{resource}/{subresource}" if subresource else resource
    if subject.role is Role.AGENT:
        return None if target in AGENT_WRITES else f"agents may write only {', '.join(sorted(AGENT_WRITES))}"
    if resource == "pods":
        return "pods are read-only: they follow from Deployments; change or scale the Deployment instead"
    if resource in RUNNING:
        return (
            f"{resource} is read-only: it shows what the registry holds; register and deregister through the registry"
        )
    return None


def allows(subject: Subject, verb: str, resource: str, subresource: str = "") -> bool:
    """Tell whether the subject may do it."""
    return why_denied(subject, verb, resource, subresource) is None
