"""Names go out and come back."""

from skep.model.names import Namespace
from skep.xds.translate import names


def test_names_of_hosts_and_secrets_come_back() -> None:
    name = names.outbound_host(Namespace("shop"), "a/b:1")
    assert names.parse_outbound_host(name) == ("shop", "a/b:1")
    assert names.parse_secret(names.secret("shop/cert")) == "shop/cert"


def test_other_names_are_not_taken_for_ours() -> None:
    for name in ("", "outbound", "outbound/shop", "outbound/shop/", "outbound//a", "inbound/shop/a"):
        assert names.parse_outbound_host(name) is None
    for name in ("", "secret", "secret/", "other/shop/cert"):
        assert names.parse_secret(name) is None
