"""`skep agent restart-envoy` and `skep agent proxies`: this host's Envoys, asked of its agent."""

from pathlib import Path

from skep.cli.failure import say
from skep.cli.output import columns, write
from skep.clients.agent import ListProxies, Proxy, Restarted, RestartEnvoy, connected

RESTART_LIMIT_S = 300.0


async def restart(data_dir: Path, names: tuple[str, ...], namespace: str) -> bool:
    """Hot-restart Envoys and print each; tell whether all went well."""
    async with connected(data_dir) as agent:
        done = await agent.call(RestartEnvoy(names, namespace), Restarted, RESTART_LIMIT_S)
    for name in done.restarted:
        write(f"envoy {name} restarted")
    for name, why in done.failed.items():
        say(f"error: envoy {name}: {why}")
    if done.failed:
        say("next: see what runs here with `skep agent proxies`")
    if not done.restarted and not done.failed:
        say("No Envoys run on this host.")
    return not done.failed


async def show(data_dir: Path, namespace: str) -> None:
    """Print this host's Envoys."""
    async with connected(data_dir) as agent:
        proxies = await agent.call(ListProxies(), list[Proxy])
    rows = [["NAMESPACE", "ENVOY", "STATE", "EPOCH", "DEATHS", "OUTBOUND", "INBOUND", "ADMIN"]]
    for proxy in proxies:
        if namespace in ("", proxy.namespace):
            addresses = [str(address or "") for address in (proxy.outbound, proxy.inbound, proxy.admin)]
            rows.append([proxy.namespace, proxy.title, proxy.state, str(proxy.epoch), str(proxy.deaths), *addresses])
    write(columns(rows))
