"""What `skep agent restart-envoy` says of proxies that cannot be restarted."""

import asyncio
from typing import Any, cast

import pytest

from skep.agent.envoys import Envoys
from skep.agent.epochs import ProxyRecord
from skep.agent.server import restart_envoys
from skep.clients.agent import Restarted, RestartEnvoy
from skep.errors import Unavailable
from skep.model.names import Namespace
from skep.model.node import Address, GatewayNode


class Proxies:
    """One proxy that stays and one that is being taken away when it is to be restarted."""

    def __init__(self) -> None:
        self.running = [Proxy("stays", self), Proxy("leaves", self)]

    def list(self) -> list[Any]:
        return list(self.running)


class Proxy:
    def __init__(self, name: str, proxies: Proxies) -> None:
        node = GatewayNode(namespace=Namespace("default"), name=name)
        self.record = ProxyRecord(f"gateway.default.{name}", node, Address("127.0.0.1", 1))
        self._proxies = proxies

    async def restart(self) -> None:
        if self.record.title.endswith("leaves"):
            self._proxies.running.remove(self)
            raise Unavailable("it is not up")


@pytest.mark.parametrize(("names", "failed"), [((), {}), (("gateway/leaves",), {"gateway/leaves": "it is not up"})])
def test_a_proxy_that_leaves_meanwhile_is_a_failure_only_when_it_was_named(
    names: tuple[str, ...], failed: dict[str, str]
) -> None:
    done = asyncio.run(restart_envoys(cast("Envoys", Proxies()), RestartEnvoy(names)))
    assert done == Restarted([] if names else ["gateway/stays"], failed)
