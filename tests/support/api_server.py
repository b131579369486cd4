"""The HTTP face on a free port, over a store in memory: for tests that need a real server but no data plane."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from skep.api.app import build_app
from skep.api.listener import EitherServer, tls_context
from skep.api.parts import Parts
from skep.auth.certificates import ensure_api_certificate
from skep.auth.kubeconfig import render_kubeconfig
from skep.auth.policy import Role
from skep.auth.tokens import ensure_tokens, load_token
from skep.clock import SystemClock
from skep.registry.service import Registry
from skep.routing.defaults import namespaces
from skep.store.backend import Key
from skep.store.backends.memory import MemoryBackend
from skep.store.objects import create_object
from skep.store.store import Store
from skep.watch import Cell

T = TypeVar("T")


async def open_parts(data_dir: Path, retain_changes: int = 10_000) -> Parts:
    """Return what an app needs, with the namespaces that always exist."""
    clock = SystemClock()
    store = Store(MemoryBackend(), clock=clock, retain_changes=retain_changes)
    await store.open()
    for document in namespaces():
        await create_object(store, Key("namespaces", "", document["metadata"]["name"]), document, clock)
    registry = Registry(store, clock)
    await registry.open()
    return Parts(
        store=store,
        tokens=ensure_tokens(data_dir),
        clock=clock,
        version="0.0.0",
        stopping=Cell(False),
        registry=registry,
    )


class ApiServer:
    """A running server, and a way to do things on its event loop."""

    def __init__(self, data_dir: Path) -> None:
        self.admin_token = ""
        self.agent_token = ""
        self.url = ""
        self.kubeconfig = ""
        self.parts: Parts
        self._data_dir = data_dir
        self._loop: asyncio.AbstractEventLoop
        self._server: EitherServer
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="api-server")

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30), "the server did not start"

    def stop(self) -> None:
        """Stop as `skep server` does: watches end first, then the server waits for its connections. Once is enough."""
        if not self._thread.is_alive():
            return

        def stop() -> None:
            self.parts.stopping.set(True)
            self._server.should_exit = True

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not stop"

    def run(self, work: Callable[[Parts], Coroutine[Any, Any, T]]) -> T:
        """Do something on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work(self.parts), self._loop).result(30)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.parts = await open_parts(self._data_dir)
        self.admin_token = load_token(self._data_dir, Role.ADMIN)
        self.agent_token = load_token(self._data_dir, Role.AGENT)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            config = uvicorn.Config(build_app(self.parts), log_level="warning", lifespan="off", ws="none", loop="none")
            certificate, key = ensure_api_certificate(self._data_dir, "127.0.0.1", self.parts.clock.now())
            https = self.url.replace("http:", "https:")
            self.kubeconfig = render_kubeconfig(https, self.admin_token, certificate.read_text())
            self._server = EitherServer(config, tls_context(certificate, key))
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._server.serve(sockets=[listener]))
                while not self._server.started and not serving.done():  # noqa: ASYNC110  uvicorn has no event for it
                    await asyncio.sleep(0)
                self._ready.set()
        await self.parts.store.close()


@contextlib.contextmanager
def running_api(data_dir: Path) -> Iterator[ApiServer]:
    """Run a server for as long as the block lasts."""
    server = ApiServer(data_dir)
    server.start()
    try:
        yield server
    finally:
        server.stop()
