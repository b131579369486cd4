"""The small languages inside routing specs: hostnames, header names, durations, paths and RE2 expressions.

In: text a user wrote. Out: violations, or the value it stands for. Never raises, whatever the text holds.
"""

import re

import re2

from skep.model.violation import Violation

MAX_PATH = 1024

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOSTNAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_PRECISE_HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_DURATION_PART = re.compile(r"([0-9]{1,5})(ms|h|m|s)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IP_LIKE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_RE2_OPTIONS = re2.Options()
_RE2_OPTIONS.log_errors = False


def duration_s(text: str) -> float | None:
    """Return the seconds that a GEP-2257 duration stands for, or None when it is not one."""
    if len(text) > 32 or not text.isascii() or _DURATION.fullmatch(text) is None:
        return None
    return round(sum(int(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(text)), 3)


def check_duration(path: str, text: str) -> list[Violation]:
    """Say what is wrong with a GEP-2257 duration."""
    if duration_s(text) is not None:
        return []
    return [Violation(path, "invalid", "must be a duration such as 10s, 1m30s or 500ms: up to four of h, m, s, ms")]


def check_hostname(path: str, text: str, *, wildcard: bool = True) -> list[Violation]:
    """Say what is wrong with a hostname; with `wildcard` its first label may be `*`."""
    pattern = _HOSTNAME if wildcard else _PRECISE_HOSTNAME
    if not 1 <= len(text) <= 253 or pattern.fullmatch(text) is None:
        first = " whose first label may be *" if wildcard else ""
        return [Violation(path, "invalid", f"must be a lower-case DNS name{first}, such as shop.example")]
    if _IP_LIKE.fullmatch(text) is not None:
        return [Violation(path, "invalid", "must be a DNS name, not an IP address")]
    return []


def check_header_name(path: str, text: str) -> list[Violation]:
    """Say what is wrong with a header's name."""
    if 1 <= len(text) <= 256 and _HEADER_NAME.fullmatch(text) is not None:
        return []
    return [Violation(path, "invalid", "must be a header name: letters, digits and !#$%&'*+-.^_`|~, at most 256")]


def check_header_value(path: str, text: str) -> list[Violation]:
    """Say what is wrong with a header's value."""
    found = []
    if not 1 <= len(text) <= 4096:
        found.append(Violation(path, "invalid", "must have 1 to 4096 characters"))
    if _CONTROL.search(text) is not None or not _is_encodable(text):
        found.append(Violation(path, "invalid", "must not hold control characters"))
    return found


def check_path(path: str, text: str) -> list[Violation]:
    """Say what is wrong with a path that is matched exactly or as a prefix."""
    found = []
    if len(text) > MAX_PATH:
        found.append(Violation(path, "invalid", f"must have at most {MAX_PATH} characters"))
    if not text.startswith("/"):
        found.append(Violation(path, "invalid", "must start with '/'"))
    found.extend(
        Violation(path, "invalid", f"must not contain '{part}'")
        for part in ("//", "/./", "/../", "%2f", "%2F", "#")
        if part in text
    )
    found.extend(
        Violation(path, "invalid", f"must not end with '{end}'") for end in ("/..", "/.") if text.endswith(end)
    )
    if not found and _PATH.fullmatch(text) is None:
        found.append(Violation(path, "invalid", "must hold only characters that a URL's path may hold"))
    return found


def check_replacement(path: str, text: str) -> list[Violation]:
    """Say what is wrong with a path that replaces another."""
    found = []
    if len(text) > MAX_PATH:
        found.append(Violation(path, "invalid", f"must have at most {MAX_PATH} characters"))
    if _CONTROL.search(text) is not None or " " in text or not text.isascii():
        found.append(Violation(path, "invalid", "must hold only characters that a URL's path may hold"))
    if "?" in text or "#" in text:
        found.append(Violation(path, "invalid", "must be a path, without '?' or '#'"))
    return found


def check_regex(path: str, text: str, longest: int = MAX_PATH) -> list[Violation]:
    """Say what is wrong with an RE2 expression."""
    if not 1 <= len(text) <= longest:
        return [Violation(path, "invalid", f"must have 1 to {longest} characters")]
    if not _is_encodable(text) or "\x00" in text:
        return [Violation(path, "invalid", "must be text")]
    try:
        re2.compile(text, _RE2_OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return [Violation(path, "invalid", f"is not an RE2 expression: {shown[:200]}")]
    return []


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
