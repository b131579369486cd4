"""A certificate and its key, under the name that listeners ask for."""

from skep.ir.edge import Certificate
from skep.xds.translate.secret import translate_certificate


def test_secret_carries_chain_and_key() -> None:
    out = translate_certificate(Certificate("shop/cert", "CHAIN", "KEY"))
    assert out.name == "secret/shop/cert"
    assert out.tls_certificate.certificate_chain.inline_string == "CHAIN"
    assert out.tls_certificate.private_key.inline_string == "KEY"
