"""login: accounts with passwords, and signed tokens that say who a passenger is."""

import base64
import hashlib
import hmac
import os
import secrets
import time
from typing import Any

from ride_hailing.http import Refused, Request
from ride_hailing.ledger import Ledger
from ride_hailing.service import Service

TOKEN_LIFE_S = 3600
SCHEMA = "CREATE TABLE IF NOT EXISTS accounts (user TEXT PRIMARY KEY, salt BLOB NOT NULL, digest BLOB NOT NULL)"


def digest(password: str, salt: bytes) -> bytes:
    """Hash a password; cheap on purpose: this is an example that shares a laptop with everything else."""
    return hashlib.scrypt(password.encode(), salt=salt, n=256, r=8, p=1)


def sign(user: str, expires: int, key: bytes) -> str:
    """Return a token for a user that holds until a time, in seconds."""
    claim = base64.urlsafe_b64encode(f"{expires}:{user}".encode()).decode()
    return f"{claim}.{hmac.new(key, claim.encode(), 'sha256').hexdigest()}"


def verify(token: str, now: float, key: bytes) -> str | None:
    """Return whose token it is, or None when it is forged, broken or too old."""
    claim, _, signature = token.partition(".")
    if not hmac.compare_digest(hmac.new(key, claim.encode(), "sha256").hexdigest().encode(), signature.encode()):
        return None
    expires, _, user = base64.urlsafe_b64decode(claim).decode().partition(":")
    return user if int(expires) > now else None


def build(ledger: Ledger, key: bytes) -> Service:
    """Return the service."""
    service = Service("login")

    @service.on("POST", "/login")
    async def log_in(request: Request) -> dict[str, Any]:
        """Check the password; a user that is not known yet is registered with it."""
        user, password = request.text("user"), request.text("password")
        salt = secrets.token_bytes(16)
        ledger.write("INSERT INTO accounts VALUES (?, ?, ?) ON CONFLICT DO NOTHING", user, salt, digest(password, salt))
        account = ledger.one("SELECT salt, digest FROM accounts WHERE user = ?", user)
        if account is None or not hmac.compare_digest(digest(password, account["salt"]), account["digest"]):
            raise Refused(401, "wrong password")
        return {"user": user, "token": sign(user, int(time.time()) + TOKEN_LIFE_S, key)}

    @service.on("POST", "/check")
    async def check(request: Request) -> dict[str, Any]:
        user = verify(request.text("token"), time.time(), key)
        if user is None:
            raise Refused(401, "log in first")
        return {"user": user}

    return service


def main() -> None:
    """Run the service."""
    key = os.environ.get("TOKEN_KEY", "").encode() or secrets.token_bytes(32)
    build(Ledger("login", SCHEMA), key).main()


if __name__ == "__main__":
    main()
