"""What happens to a document between a caller and the store: identity, defaults, validation, warnings. Pure.

In: a target, the caller's document, the present one; out: the document to keep and what to warn of, or `Invalid`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from skep.api.errors import Problem
from skep.api.kube.defaults import immutable_paths, with_defaults
from skep.api.kube.target import Target
from skep.errors import Conflict, Invalid
from skep.kinds import parse, without_nulls
from skep.model.metadata import KNOWN
from skep.model.notes import Note, notes
from skep.model.violation import Violation

Document = dict[str, Any]
_DROPPED = ("managedFields", "selfLink")
_EMPTY: Mapping[str, Any] = {"labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}
"""What is dropped when nothing is in it, as Kubernetes does."""
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class Admitted(msgspec.Struct, frozen=True):
    """What may be kept."""

    document: Document
    warnings: tuple[str, ...] = ()


def identify(target: Target, document: Mapping[str, Any]) -> Document:
    """Check that a document is about its target, and return it complete in the stored version, without nulls."""
    clean: Document = without_nulls(document)
    for field, expected in (("apiVersion", target.api_version), ("kind", target.kind.kind)):
        given = clean.setdefault(field, expected)
        if given != expected:
            found = given if isinstance(given, str) else type(given).__name__
            raise Invalid(f"{field}: the body says {found[:100]!r}, the path is of {expected!r}")
    clean["apiVersion"] = target.kind.api_version
    metadata = clean.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise Invalid(violations=[Violation("metadata", "invalid-type", "must be an object")])
    clean["metadata"] = metadata = {
        key: value
        for key, value in metadata.items()
        if key not in _DROPPED and (key not in _EMPTY or value != _EMPTY[key])
    }
    if target.kind.namespaced:
        namespace = metadata.setdefault("namespace", target.namespace)
        if namespace != target.namespace:
            raise Invalid(
                f"metadata.namespace: the namespace of the object ({str(namespace)[:100]!r}) does not match the "
                f"namespace of the request ({target.namespace!r})"
            )
    if target.name and metadata.get("name") != target.name:
        raise Invalid(
            f"metadata.name: the name of the object ({str(metadata.get('name', ''))[:100]!r}) does not match the name in "
            f"the path ({target.name!r})"
        )
    return clean


def admit(target: Target, document: Document, field_validation: str, old: Document | None = None) -> Admitted:
    """Fill in defaults and validate; every violation at once, unknown fields as the caller wants them treated."""
    document = with_defaults(target.kind.resource, document)
    parsed = parse(target.kind, document)
    if isinstance(parsed, list):
        raise Invalid(violations=parsed)
    if old is not None:
        fixed = immutable_paths(target.kind.resource, old, document)
        refused = [Violation(path, "invalid", "invalid value: field is immutable") for path in fixed]
        if refused:
            raise Invalid(violations=refused)
    found = [*notes(parsed.body), *(Note(f"metadata.{key}") for key in document["metadata"] if key not in KNOWN)]
    unknown = [note.path for note in found if not note.reason]
    if unknown and field_validation == "Strict":
        raise strict_problem(target, "unknown field", unknown)
    warnings = [f"{note.path}: {note.reason}" for note in found if note.reason]
    if field_validation == "Warn":
        warnings = [f'unknown field "{path}"' for path in unknown] + warnings
    return Admitted(document, tuple(warnings))


def check_preconditions(target: Target, given: Mapping[str, Any], uid: str, revision: int) -> None:
    """Raise `Conflict` when the caller saw another object or another revision than the present one."""
    wanted_uid, wanted = given.get("uid"), given.get("resourceVersion")
    prefix = f'Operation cannot be fulfilled on {target.kind.resource} "{target.name}": '
    if wanted_uid not in (None, "", uid):
        raise Conflict(f"{prefix}Precondition failed: UID in precondition: {str(wanted_uid)[:64]}, in object: {uid}")
    if wanted not in (None, "", "0", str(revision)):
        raise Conflict(prefix + MODIFIED)


def strict_problem(target: Target, what: str, paths: list[str]) -> Problem:
    """Say what a strict caller does not want taken: unknown fields, or such as stand twice."""
    listed = ", ".join(f'{what} "{path}"' for path in paths[:100])
    kind = target.kind
    message = (
        f'{kind.kind} in version "{target.version}" cannot be handled as a {kind.kind}: strict decoding error: {listed}'
    )
    causes = [Violation(path, "invalid", f'{what} "{path}"') for path in paths]
    return Problem(400, "BadRequest", message, causes)
