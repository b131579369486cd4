"""One thing that is wrong with what a user wrote: where, which rule, and what to do. Data, never an exception."""

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """A mistake at a path of a manifest."""

    path: str
    """Where, as Kubernetes writes paths: `spec.rules[0].matches[1].path.value`."""
    code: str
    """A stable kebab-case word: `required`, `invalid`, `unsupported`, `duplicate`, `too-many`, `not-found`."""
    message: str
    """What is wrong and what would be right, without the path."""

    def __str__(self) -> str:
        """Render as `path: message`."""
        return f"{self.path}: {self.message}"
