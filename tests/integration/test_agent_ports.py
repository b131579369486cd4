"""Ports that an agent holds for its Envoys: nobody else gets them, Envoy does."""

import socket

import pytest

from skep.agent import ports as ports_module
from skep.agent.ports import Ports, is_free
from skep.errors import Unavailable
from skep.model.node import Address


def test_held_port_is_refused_to_others_and_open_to_envoy() -> None:
    ports = Ports()
    try:
        address = ports.pick()
        assert not is_free(address)
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind((address.host, address.port))
        with socket.socket() as envoy:  # as Envoy binds
            envoy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            envoy.bind((address.host, address.port))
            envoy.listen()
            with socket.create_connection((address.host, address.port), timeout=5) as call:
                accepted, _ = envoy.accept()
                accepted.close()
                assert call.recv(1) == b""
        ports.release(address)
    finally:
        ports.close()


def test_two_agents_pick_different_ports() -> None:
    one, other = Ports(), Ports()
    try:
        picked = [ports.pick() for _ in range(100) for ports in (one, other)]
        assert len(set(picked)) == 200
        assert all(address.port < 32768 for address in picked)
    finally:
        one.close()
        other.close()


def test_port_for_a_program_is_not_held() -> None:
    ports = Ports()
    address = ports.pick_unheld()
    assert is_free(address)


def test_taken_port_is_not_held() -> None:
    ports = Ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address("127.0.0.1", taken.getsockname()[1])
        ports.hold(address)
        ports.release(address)
        assert not is_free(address)


def test_promised_port_is_given_to_nobody_else_though_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = Ports()
    address = ports.pick_unheld()
    monkeypatch.setattr(ports_module, "_LOWEST", address.port)
    monkeypatch.setattr(ports_module, "_HIGHEST", address.port)
    with pytest.raises(Unavailable, match="no free port"):
        ports.pick()
    ports.release(address)
    assert ports.pick() == address
    ports.close()
