"""Tokens: made once, private, never shown."""

import stat
from pathlib import Path

import pytest

from skep.auth.policy import Role
from skep.auth.tokens import ensure_tokens, load_token, token_path
from skep.errors import Unavailable


def test_tokens_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    data_dir = tmp_path / "deep" / "data"
    ensure_tokens(data_dir)
    first = {role: load_token(data_dir, role) for role in Role}
    assert len(set(first.values())) == len(Role)
    for role in Role:
        assert stat.S_IMODE(token_path(data_dir, role).stat().st_mode) == 0o600
    assert sorted(path.name for path in (data_dir / "tokens").iterdir()) == ["admin", "agent"]
    ensure_tokens(data_dir)
    assert {role: load_token(data_dir, role) for role in Role} == first


def test_permissions_that_were_opened_are_closed(tmp_path: Path) -> None:
    ensure_tokens(tmp_path)
    token_path(tmp_path, Role.ADMIN).chmod(0o644)
    ensure_tokens(tmp_path)
    assert stat.S_IMODE(token_path(tmp_path, Role.ADMIN).stat().st_mode) == 0o600


def test_token_tells_whose_it_is(tmp_path: Path) -> None:
    tokens = ensure_tokens(tmp_path)
    for role in Role:
        subject = tokens.subject(load_token(tmp_path, role))
        assert subject is not None
        assert subject.role is role
    for wrong in ("", "wrong", load_token(tmp_path, Role.ADMIN)[:-1], "ä", "\udcff"):
        assert tokens.subject(wrong) is None


def test_token_is_not_shown(tmp_path: Path) -> None:
    tokens = ensure_tokens(tmp_path)
    assert load_token(tmp_path, Role.ADMIN) not in repr(tokens) + str(vars(tokens))


def test_missing_or_empty_token_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="has the server started"):
        load_token(tmp_path, Role.ADMIN)
    path = token_path(tmp_path, Role.ADMIN)
    path.parent.mkdir()
    path.write_text("\n")
    with pytest.raises(Unavailable, match="delete the file"):
        ensure_tokens(tmp_path)
    with pytest.raises(Unavailable, match="delete the file"):
        load_token(tmp_path, Role.ADMIN)


def test_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"file/tokens"):
        ensure_tokens(tmp_path / "file")
