"""`skep logs`: what replicas wrote, read from the agent of this host. In: a pod, or a workload; out: its lines."""

import asyncio
import sys
from collections.abc import Sequence

import msgspec

from skep.cli.discovery import discover
from skep.cli.objects import places
from skep.cli.options import Installation
from skep.clients.agent import ReadLogs, connected
from skep.clients.api import ApiClient
from skep.errors import Invalid, NotFound


class LogRequest(msgspec.Struct, frozen=True):
    """Whose output, and how much of it."""

    words: tuple[str, ...]
    """`POD`, `pod/POD`, `deployment/NAME`; with a selector, none."""
    namespace: str
    selector: str = ""
    follow: bool = False
    previous: bool = False
    tail: int = -1


async def logs(installation: Installation, request: LogRequest) -> None:
    """Print the output; with `follow`, until the processes are gone."""
    pods = await _pods(installation, request)
    async with asyncio.TaskGroup() as group:
        for pod in pods:
            wanted = ReadLogs(
                namespace=request.namespace,
                pod=pod,
                previous=request.previous,
                follow=request.follow,
                tail=request.tail,
            )
            group.create_task(_print(installation, wanted, f"[{pod}] " if len(pods) > 1 else ""))


async def _pods(installation: Installation, request: LogRequest) -> list[str]:
    async with ApiClient(installation.server, installation.token) as api:
        pods = f"/api/v1/namespaces/{request.namespace}/pods"
        if request.selector:
            found = (await api.list(pods, labelSelector=request.selector))["items"]
            return _names(found, f"no pods match {request.selector} in {request.namespace}")
        if not request.words:
            raise Invalid("whose logs? Give a pod, deployment/NAME or --selector")
        words = request.words
        if len(words) == 1 and "/" not in words[0]:
            words = ("pods", *words)
        place = places(await discover(api), words)[0]
        document = await api.get(place.kind.path(request.namespace, place.name))
        if place.kind.kind == "Pod":
            return [place.name]
        wanted = (document.get("spec", {}).get("selector") or {}).get("matchLabels")
        if not wanted:
            raise Invalid(f"{place.kind.title} has no pods of its own; give a pod or a deployment")
        found = (await api.list(pods, labelSelector=",".join(f"{k}={v}" for k, v in wanted.items())))["items"]
        return _names(found, f"{place.kind.title}/{place.name} has no pods")


def _names(pods: Sequence[dict[str, dict[str, str]]], otherwise: str) -> list[str]:
    if not pods:
        raise NotFound(otherwise)
    return sorted(pod["metadata"]["name"] for pod in pods)


async def _print(installation: Installation, request: ReadLogs, prefix: str) -> None:
    async with connected(installation.data_dir) as agent:
        async for chunk in agent.stream(request):
            text = chunk.text
            if prefix:
                text = "".join(f"{prefix}{line}" for line in text.splitlines(keepends=True))
            out = sys.stderr if chunk.stream == "stderr" else sys.stdout
            out.write(text)
            out.flush()
