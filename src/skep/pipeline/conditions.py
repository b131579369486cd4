"""Gives conditions their times: a condition keeps the moment it last turned, whatever else about it changes. Pure."""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def with_times(status: Document, former: Document, now: str) -> dict[str, Any]:
    """Return `status` with `lastTransitionTime` in each condition, kept from `former` while the condition's status holds.

    Conditions are looked for at the top, in `listeners` (matched by name) and in `parents` (matched by parentRef and
    controller; other controllers' entries in `former` are kept as they are).
    """
    timed = dict(status)
    if "conditions" in status:
        timed["conditions"] = _timed(status["conditions"], former.get("conditions", ()), now)
    for listing, identity in (("listeners", ("name",)), ("parents", ("parentRef", "controllerName"))):
        if listing in status:
            known = {_identity(entry, identity): entry for entry in former.get(listing, ())}
            timed[listing] = [
                with_times(entry, known.get(_identity(entry, identity), {}), now) for entry in status[listing]
            ]
    if "parents" in status:
        ours = {entry["controllerName"] for entry in status["parents"]}
        timed["parents"] += [entry for entry in former.get("parents", ()) if entry["controllerName"] not in ours]
    return timed


def _timed(conditions: list[Document], former: list[Document], now: str) -> list[dict[str, Any]]:
    known = {(condition["type"], condition["status"]): condition.get("lastTransitionTime", now) for condition in former}
    return [
        {**condition, "lastTransitionTime": known.get((condition["type"], condition["status"]), now)}
        for condition in conditions
    ]


def _identity(entry: Document, fields: tuple[str, ...]) -> str:
    return repr([sorted(value.items()) if isinstance(value := entry.get(field), dict) else value for field in fields])
