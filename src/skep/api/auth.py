"""Asks every request who is calling, before anything else is read: a bearer token in, a subject in the scope out.

Only the health paths and `/version` are open. What the subject may do is decided by `auth.policy` where the verb and
the resource are known.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from skep.api.reply import reply_error
from skep.auth.policy import Subject
from skep.auth.tokens import Tokens
from skep.errors import Unauthenticated

OPEN_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/version"})
SUBJECT = "skep.subject"


class Authentication:
    """Middleware: answers 401 itself, and hands everything else on with its subject."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        subject = self._subject(scope)
        if subject is None:
            refusal = Unauthenticated("no valid bearer token was sent; `skep kubeconfig` prints one")
            await reply_error(refusal)(scope, receive, send)
            return
        scope[SUBJECT] = subject
        await self._app(scope, receive, send)

    def _subject(self, scope: Scope) -> Subject | None:
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, token = value.decode("latin-1").partition(" ")
                return self._tokens.subject(token.strip()) if scheme.lower() == "bearer" else None
        return None


def subject_of(scope: Scope) -> Subject:
    """Return who is calling; only for requests that came through `Authentication`."""
    subject = scope.get(SUBJECT)
    if not isinstance(subject, Subject):
        raise Unauthenticated
    return subject
