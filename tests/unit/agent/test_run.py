"""What `skep run` gives its command, and how it reads its options."""

import pytest

from skep.agent.run import RunProbe, environment, parse_probe
from skep.clients.agent import Opened
from skep.errors import Invalid
from skep.model.node import Address

OPENED = Opened(Address("127.0.0.1", 1500), Address("127.0.0.1", 1600), 9000)


def test_command_is_told_where_to_listen_and_through_what_to_call() -> None:
    env = environment({"HOME": "/home/x"}, OPENED)
    assert env["PORT"] == "9000"
    assert env["http_proxy"] == env["HTTP_PROXY"] == "http://127.0.0.1:1500"
    assert env["no_proxy"] == env["NO_PROXY"] == "localhost,127.0.0.1"
    assert env["HOME"] == "/home/x"


def test_hosts_that_the_user_reaches_directly_stay_direct() -> None:
    env = environment({"no_proxy": "db.example, localhost", "http_proxy": "http://other:1"}, OPENED)
    assert env["no_proxy"] == "localhost,127.0.0.1,db.example"
    assert env["http_proxy"] == "http://127.0.0.1:1500"


@pytest.mark.parametrize(
    ("text", "probe"),
    [
        ("tcp", RunProbe("tcp")),
        ("none", RunProbe("none")),
        ("http", RunProbe("http", "/")),
        ("http:/healthz", RunProbe("http", "/healthz")),
    ],
)
def test_probe_options(text: str, probe: RunProbe) -> None:
    assert parse_probe(text) == probe


@pytest.mark.parametrize("text", ["", "https:/x", "http:x", "tcp:1", "exec"])
def test_wrong_probe_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="--probe"):
        parse_probe(text)
