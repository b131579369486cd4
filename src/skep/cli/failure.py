"""Prints what went wrong: a line that says what and where, a line that says what to do next. Never a traceback."""

import sys

from skep.errors import Conflict, Denied, Invalid, NotFound, SkepError, Unauthenticated, Unavailable, Unsupported

NEXT: dict[type[SkepError], str] = {
    Unauthenticated: "give the token with --token or SKEP_TOKEN; the server wrote it to tokens/admin in its data directory",
    Denied: "this token may not do that; `skep kubeconfig` and tokens/admin hold the admin's",
    NotFound: "see what there is with `skep get KIND -A`",
    Conflict: "somebody else wrote it meanwhile: look at it with `skep get`, and try again",
    Invalid: "correct that, and try again",
    Unsupported: "see what is served with `skep get --help` and docs/guides",
}


def describe_failure(error: SkepError) -> list[str]:
    """Return the lines to print."""
    if isinstance(error, Invalid) and len(error.violations) > 1:
        head = error.message.split(": [", 1)[0] if ": [" in error.message else f"{len(error.violations)} mistakes"
        lines = [f"error: {head}", *(f"  {violation}" for violation in error.violations)]
    else:
        first, *rest = error.message.splitlines() or [error.code]
        lines = [f"error: {first}", *(f"  {line}" for line in rest)]
    advice = NEXT.get(type(error), "")
    if isinstance(error, Unavailable) and "no server answers" in error.message:
        advice = "start the platform with `skep up`, or name another server with --server or SKEP_SERVER"
    return [*lines, f"next: {advice}"] if advice else lines


def report(error: SkepError) -> None:
    """Print an error to standard error."""
    for line in describe_failure(error):
        say(line)


def say(line: str) -> None:
    """Print one line to standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def warn(text: str) -> None:
    """Print a warning, in yellow where there are colours."""
    yellow, plain = ("\x1b[33m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    say(f"{yellow}Warning: {text}{plain}")
