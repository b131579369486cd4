"""What replicas wrote, for `kubectl logs`. In: a query; out: bytes as they come, read from the agent of this host.

Only the agent knows where its replicas write. A pod that another host runs is refused with the name of that host.
"""

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from skep.api.parts import LogQuery, PodLog
from skep.clients.agent import AgentConnection, Chunk, ReadLogs, connect
from skep.errors import NotFound, SkepError, Unavailable

log = logging.getLogger(__name__)


def local_pod_log(data_dir: Path) -> PodLog:
    """Return what reads the output of replicas that the agent of a data directory runs."""

    async def read(query: LogQuery) -> AsyncIterator[bytes]:
        try:
            agent = await connect(data_dir)
        except Unavailable as error:
            raise Unavailable(f"the agent that keeps the logs of this host does not answer: {error}") from error
        chunks = agent.stream(
            ReadLogs(
                namespace=query.namespace,
                pod=query.pod,
                previous=query.previous,
                follow=query.follow,
                tail=-1 if query.tail_lines is None else query.tail_lines,
            )
        )
        try:
            first = await anext(chunks, None)  # empty when there is nothing yet: from now on nothing can be refused
        except SkepError as error:
            await agent.close()
            if isinstance(error, NotFound) and query.node and not query.previous:
                raise NotFound(f"{error}; it belongs to {query.node}: use `skep logs` there") from error
            raise
        return _bytes(agent, first, chunks, query)

    return read


async def _bytes(
    agent: AgentConnection, first: Chunk | None, chunks: AsyncIterator[Chunk], query: LogQuery
) -> AsyncIterator[bytes]:
    left = query.limit_bytes
    try:
        text = first.text.encode() if first is not None else b""
        while True:
            if left is not None:
                text = text[:left]
                left -= len(text)
            if text:
                yield text
            if left == 0:
                return
            try:
                text = (await anext(chunks)).text.encode()
            except StopAsyncIteration:
                return
            except SkepError as error:
                log.info("the log of %s/%s ends here: %s", query.namespace, query.pod, error)
                return
    finally:
        with contextlib.suppress(OSError):
            await agent.close()
