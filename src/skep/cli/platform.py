"""The commands that run the platform: `up`, `server`, `agent`. Each reads its options and hands over; nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skep.cli.failure import say
from skep.cli.options import ADDRESS_FILE, DataDirOption, url_of

if TYPE_CHECKING:
    from skep.settings import Settings

agent_app = typer.Typer(
    help="Run this host's agent, or tell the running one what to do.\n\nExample: `skep agent restart-envoy`",
    invoke_without_command=True,
    no_args_is_help=False,
)


def _option(flag: str, help_text: str) -> Any:
    return typer.Option(flag, help=f"{help_text} [env: SKEP_{flag[2:].replace('-', '_').upper()}]", show_default=False)


ConfigOption = Annotated[
    Path | None, typer.Option("--config", envvar="SKEP_CONFIG", help="File with settings, in TOML.", show_default=False)
]
DirOption = Annotated[Path | None, _option("--data-dir", "Where data is kept.")]
StoreOption = Annotated[
    str | None, _option("--store", "URL of the store; SQLite in the data directory when not given.")
]
BindOption = Annotated[str | None, _option("--host", "Address to bind to.")]
HttpOption = Annotated[int | None, _option("--http-port", "Port of the API.")]
GrpcOption = Annotated[int | None, _option("--grpc-port", "Port of the proxies' configuration.")]
GatewayOption = Annotated[str | None, _option("--gateway-address", "Address of the first Gateway.")]
GatewayHttpOption = Annotated[int | None, _option("--gateway-http-port", "Port of the first Gateway.")]
GatewayHttpsOption = Annotated[int | None, _option("--gateway-https-port", "TLS port of the first Gateway.")]
AgentNameOption = Annotated[str | None, _option("--agent-name", "Name of this host's agent.")]
ZoneOption = Annotated[str | None, _option("--zone", "Zone of this host's instances.")]
LogOption = Annotated[str | None, _option("--log-level", "debug, info, warning or error.")]


def up(
    config: ConfigOption = None,
    data_dir: DirOption = None,
    store: StoreOption = None,
    host: BindOption = None,
    http_port: HttpOption = None,
    grpc_port: GrpcOption = None,
    gateway_address: GatewayOption = None,
    gateway_http_port: GatewayHttpOption = None,
    gateway_https_port: GatewayHttpsOption = None,
    agent_name: AgentNameOption = None,
    zone: ZoneOption = None,
    log_level: LogOption = None,
) -> None:
    """Start the platform on this machine; Ctrl-C stops everything.

    Example: `skep up --http-port 7500`
    """
    flags = _given(locals())
    settings = _settings(flags, config)
    import asyncio

    from skep.cli.up import up as run_up

    asyncio.run(run_up(settings, _as_flags(flags, config)))


def server(
    config: ConfigOption = None,
    data_dir: DirOption = None,
    store: StoreOption = None,
    host: BindOption = None,
    http_port: HttpOption = None,
    grpc_port: GrpcOption = None,
    gateway_address: GatewayOption = None,
    gateway_http_port: GatewayHttpOption = None,
    gateway_https_port: GatewayHttpsOption = None,
    agent_name: Annotated[str | None, typer.Option("--agent-name", hidden=True)] = None,
    zone: Annotated[str | None, typer.Option("--zone", hidden=True)] = None,
    log_level: LogOption = None,
) -> None:
    """Run the control plane alone.

    Example: `skep server --data-dir /var/lib/skep`
    """
    settings = _settings(_given(locals()), config)
    _log(settings)
    import uvloop

    from skep.server import serve

    _leave_address(settings)
    uvloop.run(serve(settings))


@agent_app.callback()
def agent(
    context: typer.Context,
    config: ConfigOption = None,
    data_dir: DirOption = None,
    store: Annotated[str | None, typer.Option("--store", hidden=True)] = None,
    host: BindOption = None,
    http_port: HttpOption = None,
    grpc_port: GrpcOption = None,
    gateway_address: Annotated[str | None, typer.Option("--gateway-address", hidden=True)] = None,
    gateway_http_port: Annotated[int | None, typer.Option("--gateway-http-port", hidden=True)] = None,
    gateway_https_port: Annotated[int | None, typer.Option("--gateway-https-port", hidden=True)] = None,
    agent_name: AgentNameOption = None,
    zone: ZoneOption = None,
    log_level: LogOption = None,
    leave: Annotated[bool, typer.Option("--leave", help="Leave Envoys and replicas running at the end.")] = False,
) -> None:
    """Run this host's agent, or tell the running one what to do.

    Example: `skep agent --zone rack-1`, `skep agent restart-envoy`
    """
    if context.invoked_subcommand is not None:
        return
    settings = _settings(_given(locals()), config)
    _log(settings)
    import asyncio

    asyncio.run(_run_agent(settings, leave))


async def _run_agent(settings: "Settings", leave: bool) -> None:
    import asyncio

    from skep.agent.runner import run_agent
    from skep.auth.policy import Role
    from skep.auth.tokens import load_token, token_path
    from skep.model.node import Address

    path = token_path(settings.data_dir, Role.AGENT)
    if not path.exists():
        say(f"waiting for the server, which makes {path}")
    while not path.exists():  # noqa: ASYNC110  another process makes it
        await asyncio.sleep(0.02)
    token = load_token(settings.data_dir, Role.AGENT)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    server_url = url_of(settings.host, settings.http_port)
    await run_agent(settings, server_url, Address(host, settings.grpc_port), token, leave=leave)


@agent_app.command("restart-envoy")
def restart_envoy(
    names: Annotated[list[str] | None, typer.Argument(help="orders/orders-1, gateway/edge; all when none.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only those of a namespace.")] = "",
    data_dir: DataDirOption = Path("~/.local/share/skep"),
) -> None:
    """Replace running Envoys by new ones without losing a request.

    Example: `skep agent restart-envoy gateway/edge`
    """
    import asyncio

    from skep.cli.proxies import restart

    if not asyncio.run(restart(data_dir.expanduser().absolute(), tuple(names or ()), namespace)):
        raise typer.Exit(1)


@agent_app.command("proxies")
def proxies(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only those of a namespace.")] = "",
    data_dir: DataDirOption = Path("~/.local/share/skep"),
) -> None:
    """List this host's Envoys.

    Example: `skep agent proxies`
    """
    import asyncio

    from skep.cli.proxies import show

    asyncio.run(show(data_dir.expanduser().absolute(), namespace))


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in options.items()
        if value is not None and name not in ("config", "context", "leave")
    }


def _settings(flags: dict[str, Any], config: Path | None) -> "Settings":
    from skep.settings import load_settings

    return load_settings(flags, config)


def _as_flags(flags: Mapping[str, Any], config: Path | None) -> list[str]:
    given = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    return [*given, f"--config={config.absolute()}"] if config is not None else given


def _leave_address(settings: "Settings") -> None:
    """Tell the other commands of this data directory where its server is."""
    from skep.errors import Unavailable

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (settings.data_dir / ADDRESS_FILE).write_text(url_of(settings.host, settings.http_port) + "\n")
    except OSError as error:
        raise Unavailable(f"{settings.data_dir}: cannot keep data there: {error.strerror}; see --data-dir") from error


def _log(settings: "Settings") -> None:
    import logging

    level = settings.log_level.upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        from skep.errors import Invalid

        raise Invalid(f"log_level: `{settings.log_level}` is none of debug, info, warning, error")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "aiosqlite", "alembic", "grpc"):
        logging.getLogger(noisy).setLevel(max(logging.getLevelName(level), logging.WARNING))
