"""The composition root of the control plane: settings in, one task group out. The only file that knows every room.

Read it from top to bottom to see the system: what is made of what, and which tasks run for ever.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
from collections.abc import Iterator, Mapping
from importlib.metadata import version

import uvicorn

from skep.api.app import build_app
from skep.api.listener import EitherServer, tls_context
from skep.api.parts import Parts
from skep.api.podlogs import local_pod_log
from skep.auth.certificates import ensure_api_certificate, self_signed
from skep.auth.policy import Role
from skep.auth.tokens import Tokens, ensure_tokens
from skep.clock import Clock, SystemClock
from skep.errors import Conflict, Unavailable
from skep.kinds import kind_for
from skep.model.names import Namespace, ServiceId, ServiceName
from skep.model.node import Address
from skep.pipeline.runner import Pipeline
from skep.registry.service import Registry
from skep.routing import defaults
from skep.settings import Settings
from skep.store.backend import Key, open_backend
from skep.store.objects import Document, create_object
from skep.store.store import Store
from skep.supervision import supervise
from skep.watch import Cell
from skep.workloads.runner import DeploymentRunner
from skep.xds.runner import XdsServer

log = logging.getLogger(__name__)

SHUTDOWN_S = 3
COLLECT = (100_000, 20, 10)
"""How many allocations before a collection. A round of compilation allocates tens of thousands of short-lived objects; by
the default of 700 they count as long-lived, and every few rounds the whole heap is walked: 0.4 s with 10,000 routes."""
AGENTS = ServiceId(Namespace("skep-system"), ServiceName("skep-agent"))
"""The service under which each host's agent registers itself: its instances are where pods can run."""


async def serve(settings: Settings) -> None:
    """Run the control plane until SIGTERM or SIGINT; raise `Unavailable` when it cannot start, saying why."""
    clock = SystemClock()
    with listening(settings.host, settings.http_port, "http-port") as http_socket:
        try:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"{settings.data_dir}: cannot keep data there: {error.strerror}; see --data-dir"
            ) from error
        store = Store(open_backend(settings.store, settings.data_dir), clock=clock)
        await store.open()
        try:
            await create_first_objects(store, settings, clock)
            await run(settings, store, clock, http_socket)
        finally:
            await store.close()


async def run(settings: Settings, store: Store, clock: Clock, http_socket: socket.socket) -> None:
    """Wire the rooms on an open store, and serve until told to stop."""
    tokens = ensure_tokens(settings.data_dir)
    registry = Registry(store, clock)
    await registry.open()
    pipeline = Pipeline(store, registry, clock)
    await pipeline.open()
    xds = XdsServer(pipeline, lambda token: is_agent(tokens, token), Address(settings.host, settings.grpc_port), clock)
    deployments = DeploymentRunner(store, clock, lambda: [member.id for member in registry.members(AGENTS)])
    stopping = Cell(False)
    down: dict[str, str] = {}
    app = build_app(
        Parts(
            store=store,
            registry=registry,
            tokens=tokens,
            clock=clock,
            version=version("skep"),
            stopping=stopping,
            readiness=lambda: why_not_ready(down, pipeline, store),
            pod_log=local_pod_log(settings.data_dir),
        )
    )
    certificate = ensure_api_certificate(settings.data_dir, settings.host, clock.now())
    http = EitherServer(
        uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        ),
        tls_context(*certificate),
    )
    await xds.start()
    gc.freeze()  # what start-up made stays: the collector need not walk it again
    gc.set_threshold(*COLLECT)
    forever = {
        "store": store.run,
        "registry": registry.run,
        "pipeline": lambda: pipeline.run(xds.publish),
        "deployments": deployments.run,
    }
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(supervise(name, task, clock, down), name=name) for name, task in forever.items()]
        on_stop_signal(http, stopping)
        log.info("serving on http://%s:%d", *http_socket.getsockname()[:2])
        await http.serve(sockets=[http_socket])
        await xds.stop(SHUTDOWN_S)
        for task in tasks:
            task.cancel()


def why_not_ready(down: Mapping[str, str], pipeline: Pipeline, store: Store) -> str:
    """Say what does not work, a line each; an empty text when all does."""
    reasons = [f"{name}: crashed and is being restarted: {why}" for name, why in sorted(down.items())]
    reasons += [f"pipeline: {reason}" for reason in (pipeline.trouble(),) if reason]
    reasons += [f"store: {reason}" for reason in (store.trouble,) if reason]
    return "\n".join(reasons)


def on_stop_signal(http: EitherServer, stopping: Cell[bool]) -> None:
    """Stop gracefully on SIGTERM and SIGINT: watches end first, so that their connections can close."""

    def stop() -> None:
        stopping.set(True)
        http.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


@contextlib.contextmanager
def listening(host: str, port: int, option: str) -> Iterator[socket.socket]:
    """Take a port before anything else is done; raise `Unavailable` that names it and the option to change it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
        except OSError as error:
            why = (
                "is taken by another program"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used: {error.strerror}"
            )
            raise Unavailable(f"port {port} on {host} {why}; choose another with --{option}") from error
        yield taken


def is_agent(tokens: Tokens, token: str) -> bool:
    """Tell whether a proxy's token is an agent's."""
    subject = tokens.subject(token)
    return subject is not None and subject.role is Role.AGENT


async def create_first_objects(store: Store, settings: Settings, clock: Clock) -> None:
    """Make what a new installation starts with; what exists is left as its owner has made it."""
    for document in [*defaults.namespaces(), defaults.gateway_class()]:
        await create_unless_there(store, document, clock)
    address = settings.gateway_address
    if store.find(key_of(defaults.edge_secret("", ""))) is None:
        secret = defaults.edge_secret(*self_signed(("localhost",), (address,), clock.now()))
        await create_unless_there(store, secret, clock)
    edge = defaults.edge_gateway(address, settings.gateway_http_port, settings.gateway_https_port)
    await create_unless_there(store, edge, clock)


async def create_unless_there(store: Store, document: Document, clock: Clock) -> None:
    """Create an object; one that exists is left alone."""
    key = key_of(document)
    if store.find(key) is None:
        with contextlib.suppress(Conflict):
            await create_object(store, key, document, clock)


def key_of(document: Document) -> Key:
    """Return where a document is kept."""
    group = document["apiVersion"].rpartition("/")[0]
    kind = kind_for(group, document["kind"])
    if kind is None:
        raise LookupError(f"{group} {document['kind']} is not in the table of kinds")
    metadata = document["metadata"]
    return Key(kind.resource, metadata.get("namespace", ""), metadata["name"])
