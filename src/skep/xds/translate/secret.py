"""Secrets: IR Certificate -> Envoy Secret. The result holds a key: it must never be printed."""

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2 as pb

from skep.ir.edge import Certificate
from skep.xds.translate import names


def translate_certificate(certificate: Certificate) -> pb.Secret:
    """Build the secret of one certificate."""
    secret = pb.Secret(name=names.secret(certificate.name))
    secret.tls_certificate.certificate_chain.inline_string = certificate.chain_pem
    secret.tls_certificate.private_key.inline_string = certificate.key_pem
    return secret
