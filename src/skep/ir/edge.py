"""What a gateway's proxy listens on."""

import msgspec

from skep.ir.route import Origin, VirtualHost
from skep.model.node import Address


class Certificate(msgspec.Struct, frozen=True):
    """A certificate chain and its key; prints redacted."""

    name: str
    """`namespace/name` of where it is kept."""
    chain_pem: str
    key_pem: str

    def __repr__(self) -> str:
        """Never show the key."""
        return f"Certificate({self.name!r}, redacted)"


class Server(msgspec.Struct, frozen=True):
    """What answers on a port for some server names: with TLS one each, without TLS one for the port."""

    name: str
    """Names its table of routes: `gateway/namespace/name/port` plus, with TLS, `/listener`."""
    server_names: tuple[str, ...] = ()
    """SNI names it serves (`shop.example`, `*.shop.example`); empty for any."""
    certificates: tuple[str, ...] = ()
    """Names of `Certificate`s; empty for plain text."""


class EdgePort(msgspec.Struct, frozen=True):
    """One address and port of a gateway."""

    name: str
    """`gateway/namespace/name/port`."""
    address: Address
    servers: tuple[Server, ...]
    origin: Origin


class Routes(msgspec.Struct, frozen=True):
    """The table of routes of one `Server`."""

    name: str
    virtual_hosts: tuple[VirtualHost, ...] = ()
