"""The bearer tokens of this installation: made at the first start, kept one a file, readable by the owner only.

In: the data directory; out: who a presented token belongs to. A token is never logged and never part of an error.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from skep.auth.policy import Role, Subject
from skep.errors import Unavailable

FOLDER = "tokens"


class Tokens:
    """Knows the hash of each role's token, and so who a caller is."""

    def __init__(self, tokens: Mapping[Role, str]) -> None:
        self._hashes = {role: _digest(token) for role, token in tokens.items()}

    def __repr__(self) -> str:
        return f"Tokens({', '.join(sorted(self._hashes))})"

    def subject(self, token: str) -> Subject | None:
        """Return whose token this is; every known hash is compared, each in constant time."""
        presented = _digest(token)
        found: Role | None = None
        for role, known in self._hashes.items():
            if hmac.compare_digest(presented, known):
                found = role
        return None if found is None else Subject(f"skep:{found.value}", found)


def ensure_tokens(data_dir: Path) -> Tokens:
    """Read the tokens, making those that do not exist yet."""
    return Tokens({role: _ensure(token_path(data_dir, role)) for role in Role})


def token_path(data_dir: Path, role: Role) -> Path:
    """Return the file that holds a role's token."""
    return data_dir / FOLDER / role.value


def load_token(data_dir: Path, role: Role) -> str:
    """Read a role's token, as the CLI and the agent do."""
    path = token_path(data_dir, role)
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unavailable(
            f"{path}: cannot read the {role.value} token ({error.strerror}); has the server started?"
        ) from error
    if not token:
        raise Unavailable(f"{path}: the {role.value} token is empty; delete the file and restart the server")
    return token


def _ensure(path: Path) -> str:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unavailable(f"{path}: cannot keep the token: {error.strerror}") from error
    if not token:
        raise Unavailable(f"{path}: the token is empty; delete the file and start again")
    return token


def _create(path: Path) -> None:
    """Write beside and link into place, so that two starting processes agree and no reader sees half a token."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"skep-{secrets.token_urlsafe(32)}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
