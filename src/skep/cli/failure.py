"""Prints what went wrong: a line that says what and where, a line that says what to do next. Never a traceback."""

import re
import sys

from skep.errors import Conflict, Denied, Invalid, NotFound, SkepError, Unauthenticated, Unavailable, Unsupported

NEXT: dict[type[SkepError], str] = {
    Unauthenticated: "give the token with --token or SKEP_TOKEN; the server wrote it to tokens/admin in its data directory",
    Denied: "this token may not do that; `skep kubeconfig` and tokens/admin hold the admin's",
    NotFound: "see what there is with `skep get KIND -A`",
    Conflict: "somebody else wrote it meanwhile: look at it with `skep get`, and try again",
    Invalid: "correct that, and try again",
    Unavailable: "try again; if it stays so, see the logs in the folder that `skep up` named",
    Unsupported: "see what is served with `skep get --help` and docs/guides",
}
_MISSING = re.compile(r'([a-z]+)(?:\.[a-z0-9.-]+)? "[^"]*" not found$')
_START = "start the platform with `skep up`, or name another server with --server or SKEP_SERVER"


def describe_failure(error: SkepError) -> list[str]:
    """Return the lines to print: what is wrong and where, each violation, and what to do next."""
    if isinstance(error, Invalid) and len(error.violations) > 1:
        head = error.message.split(": [", 1)[0] if ": [" in error.message else f"{len(error.violations)} mistakes"
        return [f"error: {head}", *(f"  {violation}" for violation in error.violations), f"next: {NEXT[Invalid]}"]
    message = error.message or error.code
    advice = _fitting(message) or NEXT.get(type(error), "")
    if "no server answers" in message:
        message, advice = message.partition(" (")[0], _START
    elif message.startswith("no agent runs"):
        message, _, advice = message.rpartition(": ")
    elif not (isinstance(error, Invalid) and error.violations) and "; " in message and len(message.splitlines()) == 1:
        # Our own messages end in what to do.
        message, _, ours = message.rpartition("; ")
        advice = advice if isinstance(error, Unauthenticated) else ours
    first, *rest = message.splitlines()
    return [f"error: {first}", *(f"  {line}" for line in rest), *([f"next: {advice}"] if advice else [])]


def _fitting(message: str) -> str:
    """Return what to do about this very message; empty when only its sort is known."""
    if "no such file or directory" in message:
        return "check the path; it is looked for from the current directory"
    missing = _MISSING.match(message)
    if missing is None:
        return ""
    if missing[1] == "namespaces":
        return "create it with a manifest of kind Namespace; `skep get namespaces` shows what there is"
    return f"see what there is with `skep get {missing[1]} -A`"


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
