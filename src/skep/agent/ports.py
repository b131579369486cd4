"""Loopback ports for proxies and applications: picked once, then reserved so that nobody else gets them.

A reservation is a socket that is bound but never listens: Envoy, which reuses ports, binds beside it; everyone else is
refused, the kernel's choice of source ports included. So a proxy that was restarted finds its ports free.
"""

import contextlib
import random
import socket

from skep.errors import Unavailable
from skep.model.node import Address

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 15_000, 32_767
"""Below the range from which Linux takes source ports for outgoing connections."""


class Ports:
    """The ports this agent holds."""

    def __init__(self) -> None:
        self._held: dict[Address, socket.socket] = {}
        self._promised: set[Address] = set()
        self._random = random.Random()  # noqa: S311  ports are no secret

    def pick(self) -> Address:
        """Reserve a free port."""
        for _ in range(200):
            address = Address(LOOPBACK, self._random.randint(_LOWEST, _HIGHEST))
            if address not in self._held and address not in self._promised and is_free(address):
                self.hold(address)
                return address
        raise Unavailable(f"no free port between {_LOWEST} and {_HIGHEST} on {LOOPBACK}")

    def pick_unheld(self) -> Address:
        """Pick a free port for a program that may not share it with a reservation, and promise it."""
        address = self.pick()
        self.release(address)
        self.promise(address)
        return address

    def promise(self, address: Address) -> None:
        """Give a port to nobody else, also while the program it is for does not listen."""
        self._promised.add(address)

    def hold(self, address: Address) -> None:
        """Reserve a given port; when a process listens there already it needs no reservation."""
        if address in self._held:
            return
        with contextlib.ExitStack() as stack:
            reservation = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                reservation.bind((address.host, address.port))
            except OSError:
                return
            stack.pop_all()
            self._held[address] = reservation

    def release(self, address: Address) -> None:
        """Give a port back; nothing when it is neither held nor promised."""
        self._promised.discard(address)
        reservation = self._held.pop(address, None)
        if reservation is not None:
            reservation.close()

    def close(self) -> None:
        """Give all ports back."""
        for address in list(self._held):
            self.release(address)


def is_free(address: Address) -> bool:
    """Tell whether nobody is bound to an address, reservations included."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        try:
            trial.bind((address.host, address.port))
        except OSError:
            return False
    return True
