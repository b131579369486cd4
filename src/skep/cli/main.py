"""The `skep` command: its subcommands, and the one place where errors become lines and exit statuses.

Everything but the option parser is imported by the command that needs it: `skep --help` must be quick.
"""

import os
import sys
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any

import typer

from skep.cli import platform
from skep.cli.completion import complete_words
from skep.cli.failure import report
from skep.cli.options import (
    DEFAULT_DATA_DIR,
    AllOption,
    DataDirOption,
    FileOption,
    HostOption,
    Installation,
    NamespaceOption,
    OutputOption,
    PortOption,
    SelectorOption,
    ServerOption,
    TokenOption,
    locate,
)
from skep.errors import Invalid, SkepError

app = typer.Typer(
    name="skep",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="A microservice platform from one command.\n\nExample: `skep up`, then `skep apply -f examples/hello/hello.yaml`",
)
app.command()(platform.up)
app.command()(platform.server)
app.add_typer(platform.agent_app, name="agent")


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    service: Annotated[str, typer.Option("--service", "-s", help="The service it is an instance of.")],
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Where it listens on 127.0.0.1; 0 for a free port.")
    ] = 0,
    namespace: NamespaceOption = "default",
    label: Annotated[list[str] | None, typer.Option("--label", "-l", help="A label: version=v2.")] = None,
    instance: Annotated[str, typer.Option("--id", help="Name of the instance; made up when not given.")] = "",
    protocol: Annotated[str, typer.Option("--protocol", help="http, http2, grpc or tcp.")] = "http",
    weight: Annotated[int, typer.Option("--weight", min=1, max=1000, help="Share of calls among its peers.")] = 100,
    probe: Annotated[
        str, typer.Option("--probe", help="How it is asked whether it serves: tcp, http:/path, none.")
    ] = "tcp",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Run any program as an instance of a service, with an Envoy beside it.

    Example: `skep run --service orders --port 9000 -l version=v2 -- ./orders`
    """
    import asyncio

    from skep.agent.run import RunRequest, parse_probe, run_instance
    from skep.model.names import Namespace, ServiceName

    request = RunRequest(
        service=ServiceName(service),
        command=tuple(command),
        namespace=Namespace(namespace),
        port=port,
        id=instance,
        labels=_labels(label or []),
        protocol=protocol,
        weight=weight,
        probe=parse_probe(probe),
    )
    inherited = dict(os.environ)  # noqa: TID251  the program gets the environment it would have without us
    raise typer.Exit(asyncio.run(run_instance(request, data_dir.expanduser().absolute(), inherited)))


@app.command()
def apply(
    filename: FileOption = None,
    namespace: NamespaceOption = "default",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the server check, and write nothing.")] = False,
    server: ServerOption = "",
    token: TokenOption = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    host: HostOption = "127.0.0.1",
    http_port: PortOption = 7400,
) -> None:
    """Create or change objects to what their manifests say.

    Example: `skep apply -f examples/hello/hello.yaml`, `cat *.yaml | skep apply -f -`
    """
    from skep.cli.apply import apply_all
    from skep.cli.manifests import read_manifests

    if not filename:
        raise typer.BadParameter("say which file, directory or - for standard input", param_hint="--filename")
    there = locate(server, token, data_dir, host, http_port)
    _exit(_wait(apply_all(there, read_manifests(filename), namespace, dry_run)))


@app.command()
def get(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND [NAME]... | KIND/NAME...", help="pods, deploy web, svc/a", autocompletion=complete_words
        ),
    ],
    namespace: NamespaceOption = "default",
    all_namespaces: AllOption = False,
    selector: SelectorOption = "",
    field_selector: Annotated[str, typer.Option("--field-selector", help="metadata.name=a,status.phase=Running")] = "",
    output: OutputOption = "table",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on with what changes.")] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Without the names of the columns.")] = False,
    server: ServerOption = "",
    token: TokenOption = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    host: HostOption = "127.0.0.1",
    http_port: PortOption = 7400,
) -> None:
    """Show objects.

    Example: `skep get pods -A`, `skep get httproute hello -o yaml`, `skep get instances --watch`
    """
    from skep.cli.objects import Query
    from skep.cli.objects import get as show

    query = Query(
        words=tuple(words),
        namespace="" if all_namespaces else namespace,
        selector=selector,
        field_selector=field_selector,
        output=output,
        watch=watch,
        heading=not no_headers,
    )
    _wait(show(locate(server, token, data_dir, host, http_port), query))


@app.command()
def describe(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND [NAME]... | KIND/NAME...", help="httproute hello, pod/a", autocompletion=complete_words
        ),
    ],
    namespace: NamespaceOption = "default",
    all_namespaces: AllOption = False,
    selector: SelectorOption = "",
    server: ServerOption = "",
    token: TokenOption = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    host: HostOption = "127.0.0.1",
    http_port: PortOption = 7400,
) -> None:
    """Show all that is known of an object: what was written, its conditions, its events.

    Example: `skep describe httproute hello`
    """
    from skep.cli.describe import describe as show

    there = locate(server, token, data_dir, host, http_port)
    _wait(show(there, words, "" if all_namespaces else namespace, selector))


@app.command()
def delete(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KIND NAME... | KIND/NAME...]", autocompletion=complete_words),
    ] = None,
    filename: FileOption = None,
    namespace: NamespaceOption = "default",
    selector: SelectorOption = "",
    everything: Annotated[bool, typer.Option("--all", help="All of that kind in the namespace.")] = False,
    ignore_not_found: Annotated[bool, typer.Option("--ignore-not-found", help="What is gone already is fine.")] = False,
    server: ServerOption = "",
    token: TokenOption = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    host: HostOption = "127.0.0.1",
    http_port: PortOption = 7400,
) -> None:
    """Delete objects.

    Example: `skep delete -f examples/hello/hello.yaml`, `skep delete deployment hello-v1`
    """
    from skep.cli.manifests import read_manifests
    from skep.cli.objects import Removal
    from skep.cli.objects import delete as remove

    if bool(words) == bool(filename):
        raise typer.BadParameter("say what to delete: KIND NAME, KIND/NAME or --filename FILE")
    removal = Removal(
        words=tuple(words or ()),
        manifests=tuple(read_manifests(filename)) if filename else (),
        namespace=namespace,
        selector=selector,
        everything=everything,
        ignore_missing=ignore_not_found,
    )
    _exit(_wait(remove(locate(server, token, data_dir, host, http_port), removal)))


@app.command()
def logs(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="POD | KIND/NAME", help="a pod, or deployment/web")
    ] = None,
    namespace: NamespaceOption = "default",
    selector: SelectorOption = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written.")] = False,
    previous: Annotated[bool, typer.Option("--previous", help="What the run before this one wrote.")] = False,
    tail: Annotated[int, typer.Option("--tail", help="Only the last lines; all of them when not given.")] = -1,
    server: ServerOption = "",
    token: TokenOption = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    host: HostOption = "127.0.0.1",
    http_port: PortOption = 7400,
) -> None:
    """Print what replicas on this host wrote.

    Example: `skep logs deployment/hello-v1 -f --tail 20`
    """
    from skep.cli.logs import LogRequest
    from skep.cli.logs import logs as show

    request = LogRequest(tuple(words or ()), namespace, selector, follow, previous, tail)
    _wait(show(locate(server, token, data_dir, host, http_port), request))


@app.command()
def top(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only this one; all when not given.")] = "",
    once: Annotated[bool, typer.Option("--once", help="Print it once.")] = False,
    output: OutputOption = "table",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Show services live: instances, requests per second, success, latency.

    Example: `skep top -n rides`, `skep top --once -o json`
    """
    from skep.cli.top import top as show

    _wait(show(Installation("", "", data_dir.expanduser().absolute()), namespace, once, output))


@app.command()
def kubeconfig(
    namespace: NamespaceOption = "default",
    server: ServerOption = "",
    token: TokenOption = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    host: HostOption = "127.0.0.1",
    http_port: PortOption = 7400,
) -> None:
    """Print a kubeconfig with which kubectl reaches this platform.

    Example: `skep kubeconfig > kubeconfig && chmod 600 kubeconfig`, `skep kubeconfig -n rides`
    """
    from skep.auth.certificates import api_certificate_path
    from skep.auth.kubeconfig import render_kubeconfig
    from skep.cli.output import write

    there = locate(server, token, data_dir, host, http_port)
    certificate = api_certificate_path(there.data_dir)
    if not there.token or not certificate.is_file():
        raise Invalid(
            f"{there.data_dir}: no token and certificate of a server there; start it once, or give --data-dir"
        )
    # The API answers plain and encrypted calls on one port; kubectl sends its token over the encrypted ones only.
    address = there.server.replace("http://", "https://", 1)
    write(render_kubeconfig(address, there.token, certificate.read_text(), namespace))


@app.command()
def version(
    client: Annotated[bool, typer.Option("--client", help="Only of this command; no server is asked.")] = False,
    output: OutputOption = "table",
    server: ServerOption = "",
    token: TokenOption = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    host: HostOption = "127.0.0.1",
    http_port: PortOption = 7400,
) -> None:
    """Print the version of this command, and of the server where one answers.

    Example: `skep version`, `skep version --client`, `skep version -o json`
    """
    from skep.cli.version import print_versions

    print_versions(None if client else locate(server, token, data_dir, host, http_port), output)


def _labels(texts: Sequence[str]) -> dict[str, str]:
    labels = {}
    for text in (part for each in texts for part in each.split(",")):
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise Invalid(f"--label {text}: a label is written name=value")
        labels[name] = value
    return labels


def _wait(work: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    return asyncio.run(work)


def _exit(good: bool) -> None:
    if not good:
        raise typer.Exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status: 0, 1 for a failure, 2 for wrong usage."""
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="skep")
    except SkepError as error:
        report(error)
    except BaseExceptionGroup as group:
        _report_group(group)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1)


def _report_group(group: BaseExceptionGroup) -> None:
    known, rest = group.split(SkepError)
    if rest is not None or known is None:
        raise group
    for error in _leaves(known):
        report(error)


def _leaves(group: BaseExceptionGroup[SkepError]) -> list[SkepError]:
    found: list[SkepError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
