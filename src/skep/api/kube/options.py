"""The query parameters of the resource API, read once into a record. A malformed one raises `Invalid` with its name."""

import msgspec
from starlette.datastructures import QueryParams

from skep.errors import Invalid

_TRUE, _FALSE = ("true", "1", "t", "True"), ("false", "0", "f", "False", "")
VALIDATION = ("Strict", "Warn", "Ignore")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller asked for beside the path."""

    watch: bool = False
    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    allow_bookmarks: bool = False
    send_initial_events: bool = False
    timeout_s: int | None = None
    dry_run: bool = False
    field_validation: str = "Warn"
    include_object: str = "Metadata"


def parse_options(query: QueryParams) -> Options:
    """Read the parameters that the resource API knows; others are passed over, as Kubernetes does."""
    options = Options(
        watch=_flag(query, "watch"),
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=_choice(query, "resourceVersionMatch", ("", "Exact", "NotOlderThan")),
        allow_bookmarks=_flag(query, "allowWatchBookmarks"),
        send_initial_events=_flag(query, "sendInitialEvents"),
        timeout_s=_number(query, "timeoutSeconds"),
        dry_run=_dry_run(query.getlist("dryRun")),
        field_validation=_choice(query, "fieldValidation", VALIDATION) or "Warn",
        include_object=_choice(query, "includeObject", ("None", "Metadata", "Object")) or "Metadata",
    )
    wanted = parse_revision(options.resource_version)
    _check_match(options, wanted)
    if query.get("continue"):
        raise Invalid("continue: lists are not paged here, so there is nothing to continue")
    return options


def _check_match(options: Options, wanted: int) -> None:
    """Refuse what Kubernetes refuses: a rule for a revision without the revision."""
    match = options.resource_version_match
    if match and not options.resource_version and not options.send_initial_events:
        raise Invalid("resourceVersionMatch: may not be given without resourceVersion")
    if match == "Exact" and not wanted:
        raise Invalid('resourceVersionMatch: "Exact" needs a resourceVersion other than 0')


def parse_revision(text: str) -> int:
    """Read a resourceVersion; empty means 0, any."""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise Invalid(f"resourceVersion: invalid value {text[:40]!r}: must be a number that this server gave")
    return int(text)


def _flag(query: QueryParams, name: str) -> bool:
    value = query.get(name, "")
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise Invalid(f"{name}: invalid value {value[:40]!r}: must be true or false")


def _number(query: QueryParams, name: str) -> int | None:
    value = query.get(name)
    if value is None or value == "":
        return None
    if not (value.isascii() and value.isdecimal()) or len(value) > 9:
        raise Invalid(f"{name}: invalid value {value[:40]!r}: must be a number of seconds")
    return int(value)


def _choice(query: QueryParams, name: str, known: tuple[str, ...]) -> str:
    value = query.get(name)
    if value is None or value == "":
        return ""
    if value not in known:
        raise Invalid(f"{name}: unsupported value {value[:40]!r}: supported values: {', '.join(filter(None, known))}")
    return value


def _dry_run(values: list[str]) -> bool:
    for value in values:
        if value != "All":
            raise Invalid(f"dryRun: unsupported value {value[:40]!r}: supported values: All")
    return bool(values)
