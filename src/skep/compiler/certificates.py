"""Certificates from Secrets: read, checked against their keys, or a sentence that says what is wrong.

In: Secrets. Out: `Certificate`. It does not look at dates: the time is not an input here.
"""

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from skep.compiler.effective import in_force
from skep.compiler.memo import Memo
from skep.ir.edge import Certificate
from skep.model.configuration import Secret
from skep.model.names import ObjectRef

CHAIN = "tls.crt"
KEY = "tls.key"
SMALLEST_RSA_BITS = 2048


def certificate(memo: Memo, name: str) -> Certificate | None:
    """Return the certificate kept in the Secret `namespace/name`, or None when there is no usable one."""
    namespace, _, secret = name.partition("/")
    found = memo.get(read_certificate, namespace, secret)
    return found if isinstance(found, Certificate) else None


def read_certificate(memo: Memo, namespace: str, name: str) -> Certificate | str:
    """Return the certificate kept in a Secret, or what is wrong with it."""
    secret = in_force(memo, ObjectRef("", "Secret", namespace, name), Secret)
    if secret is None:
        return f"there is no Secret {namespace}/{name}"
    parts = {}
    for field in (CHAIN, KEY):
        encoded = (secret.body.data or {}).get(field)
        if not encoded:
            return f"Secret {namespace}/{name} has no {field}"
        try:
            parts[field] = base64.b64decode(encoded, validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            return f"{field} of Secret {namespace}/{name} is not PEM text in base64"
    problem = _problem(parts[CHAIN], parts[KEY])
    if problem:
        return f"Secret {namespace}/{name}: {problem}"
    return Certificate(f"{namespace}/{name}", parts[CHAIN], parts[KEY])


def _problem(chain_pem: str, key_pem: str) -> str:
    try:
        chain = x509.load_pem_x509_certificates(chain_pem.encode())
        shown = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        return f"{CHAIN} is not a PEM certificate"
    try:
        key = load_pem_private_key(key_pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"{KEY} is not an unencrypted PEM private key"
    if isinstance(shown, rsa.RSAPublicKey) and shown.key_size < SMALLEST_RSA_BITS:
        return f"{CHAIN} has an RSA key of {shown.key_size} bits; {SMALLEST_RSA_BITS} is the least"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != shown.public_bytes(*form):
        return f"{KEY} does not belong to {CHAIN}"
    return ""
