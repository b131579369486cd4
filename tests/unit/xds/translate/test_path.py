"""The Gateway API's table of replaced prefixes, against what Envoy does with a rewrite."""

import re

import pytest

from skep.ir.match import PathExact, PathPrefix, RequestMatch
from skep.ir.route import PathFull, PathPrefixReplaced
from skep.xds.translate.path import PathRewrite, rewrite_path


def apply(path: str, matched: str, rewrite: PathRewrite | None) -> str:
    """Do what Envoy does."""
    if rewrite is None:
        return path
    if rewrite.prefix:
        return rewrite.prefix + path.removeprefix(matched.rstrip("/") or "/")
    return re.sub(rewrite.regex, rewrite.substitution.replace("\\", "\\\\"), path)


@pytest.mark.parametrize(
    ("path", "matched", "replacement", "expected"),
    [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/a", "/", "/x", "/x/a"),
        ("/", "/", "/x", "/x/"),
        ("/a", "/", "/", "/a"),
        ("/f.o/b", "/f.o", "/", "/b"),
    ],
)
def test_prefix_is_replaced_by_whole_elements(path: str, matched: str, replacement: str, expected: str) -> None:
    rewrite = rewrite_path(PathPrefixReplaced(replacement), RequestMatch(PathPrefix(matched)))
    assert apply(path, matched, rewrite) == expected


def test_full_path_replaces_everything_and_is_taken_literally() -> None:
    rewrite = rewrite_path(PathFull("/new\\1"), RequestMatch(PathExact("/old")))
    assert rewrite == PathRewrite(regex="^/.*$", substitution="/new\\\\1")
