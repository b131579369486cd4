"""Free loopback ports for benchmarks and tests: below those that Linux gives to outgoing connections, and that agents pick from."""

import random
import socket

LOWEST, HIGHEST = 10_000, 14_999


def free_ports(count: int) -> list[int]:
    """Choose different ports that nobody listens on."""
    found: list[int] = []
    for port in random.sample(range(LOWEST, HIGHEST + 1), HIGHEST - LOWEST):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    assert len(found) == count, "no free ports"
    return found


def free_port() -> int:
    """Choose one port that nobody listens on."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
