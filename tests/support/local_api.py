"""The HTTP face called in process: no sockets, one event loop for as long as the block lasts."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from skep.api.app import build_app
from skep.api.parts import Parts
from skep.auth.policy import Role
from skep.auth.tokens import load_token
from tests.support.api_server import open_parts

T = TypeVar("T")
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class LocalApi:
    """Calls the app as the admin unless told otherwise."""

    def __init__(self, runner: asyncio.Runner, parts: Parts, tokens: dict[Role, str]) -> None:
        self.parts = parts
        self._runner = runner
        self._tokens = tokens
        transport = httpx.ASGITransport(app=build_app(parts), raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://skep")

    @property
    def revision(self) -> int:
        return self.parts.store.revision.value

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media: str = "application/json",
        role: Role | None = Role.ADMIN,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = dict(headers or {})
        if content is not None:
            sent["content-type"] = media
        if role is not None:
            sent["authorization"] = f"Bearer {self._tokens[role]}"
        return self.run(self._client.request(method, path, content=content, headers=sent))

    def get(self, path: str, **options: Any) -> Any:
        response = self.call("GET", path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def create(self, path: str, document: dict[str, Any], **options: Any) -> Any:
        response = self.call("POST", path, document, **options)
        assert response.status_code == 201, response.text
        return response.json()


@contextlib.contextmanager
def local_api(change: Callable[[Parts], Parts] = lambda parts: parts) -> Iterator[LocalApi]:
    """Open an app over an empty store in memory."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        parts = change(runner.run(open_parts(data_dir)))
        yield LocalApi(runner, parts, {role: load_token(data_dir, role) for role in Role})
        runner.run(parts.store.close())


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def config_map(name: str = "settings", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "b"}}


def http_route(name: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": "edge"}],
            "hostnames": ["web.example"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/a"}}],
                    "backendRefs": [{"name": "web", "port": 80}],
                }
            ],
        },
    }


def deployment(name: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "x", "command": ["sleep", "3"]}]},
            },
        },
    }
