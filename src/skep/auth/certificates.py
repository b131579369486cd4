"""Makes certificates, self-signed ones: for the default Gateway, and for the API, whose kubeconfig names its own."""

import ipaddress
import os
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from skep.errors import Unavailable

VALID_FOR = timedelta(days=397)
API_VALID_FOR = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)
FOLDER = "tls"


def ensure_api_certificate(data_dir: Path, address: str, now: datetime) -> tuple[Path, Path]:
    """Return the files of the API's certificate and key, made anew when missing, near their end or for another address."""
    certificate, key = api_certificate_path(data_dir), data_dir / FOLDER / "api.key"
    try:
        if not _serves(certificate, key, address, now):
            certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            addresses = tuple(dict.fromkeys(("127.0.0.1", "::1", address)))
            certificate_pem, key_pem = self_signed(("localhost",), addresses, now, API_VALID_FOR)
            _keep(key, key_pem)
            _keep(certificate, certificate_pem)
    except OSError as error:
        raise Unavailable(f"{certificate.parent}: cannot keep the API's certificate: {error.strerror}") from error
    return certificate, key


def api_certificate_path(data_dir: Path) -> Path:
    """Return the file that holds the API's certificate, which clients trust."""
    return data_dir / FOLDER / "api.crt"


def _serves(certificate: Path, key: Path, address: str, now: datetime) -> bool:
    if not certificate.is_file() or not key.is_file():
        return False
    try:
        present = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = present.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return False
    known = names.get_values_for_type(x509.IPAddress)
    fits = secret.public_key() == present.public_key()
    return fits and present.not_valid_after_utc - RENEW_BEFORE > now and ipaddress.ip_address(address) in known


def _keep(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
    draft.replace(path)


def self_signed(
    names: tuple[str, ...], addresses: tuple[str, ...], now: datetime, valid_for: timedelta = VALID_FOR
) -> tuple[str, str]:
    """Return a certificate for DNS names and IP addresses, and its private key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + valid_for)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), key_pem.decode()
