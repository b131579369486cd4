"""Patches by media type: chooses the algorithm and applies it to the present object. Server-side apply is not taken."""

from collections.abc import Mapping
from typing import Any

from skep.api.errors import Problem
from skep.api.kube.jsonpatch import json_patch, merge_patch
from skep.api.kube.limits import check_depth
from skep.api.kube.strategic import strategic_merge
from skep.api.kube.target import Target
from skep.api.kube.write import Change
from skep.errors import Invalid

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = ("application/apply-patch+yaml", "application/apply-patch+cbor")


def patch_types(strategic: bool) -> tuple[str, ...]:
    """List the media types a kind's patches may have."""
    return (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH) if strategic else (JSON_PATCH, MERGE_PATCH)


def check_media(target: Target, media: str) -> None:
    """Refuse a media type before the body is read."""
    if media in APPLY_PATCH:
        message = "server-side apply is not supported yet; use kubectl apply without --server-side"
        raise Problem(415, "UnsupportedMediaType", message)
    known = patch_types(target.kind.strategic)
    if media not in known:
        message = (
            f"the patch's media type {media[:80]!r} is not taken for {target.kind.resource}; use {', '.join(known)}"
        )
        raise Problem(415, "UnsupportedMediaType", message)


def patcher(media: str, patch: Any, merge_keys: Mapping[str, str]) -> Change:
    """Return what the patch does to the present object."""
    if media != JSON_PATCH and not isinstance(patch, dict):
        raise Invalid("the patch must be a JSON object")

    def apply(present: dict[str, Any]) -> Any:
        if media == JSON_PATCH:
            result = json_patch(present, patch)
        elif media == MERGE_PATCH:
            result = merge_patch(present, patch)
        else:
            result = strategic_merge(present, patch, merge_keys)
        check_depth(result)
        return result

    return apply
