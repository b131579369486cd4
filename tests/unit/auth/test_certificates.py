"""The API's certificate: made once, for its address, renewed before its end."""

import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from skep.auth.certificates import API_VALID_FOR, api_certificate_path, ensure_api_certificate, self_signed

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_certificate_is_kept_until_it_no_longer_serves(tmp_path: Path) -> None:
    certificate, key = ensure_api_certificate(tmp_path, "127.0.0.1", NOW)
    assert certificate == api_certificate_path(tmp_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    first = certificate.read_bytes()
    ensure_api_certificate(tmp_path, "127.0.0.1", NOW + timedelta(days=300))
    assert certificate.read_bytes() == first
    ensure_api_certificate(tmp_path, "192.0.2.7", NOW)
    second = certificate.read_bytes()
    assert second != first
    ensure_api_certificate(tmp_path, "192.0.2.7", NOW + API_VALID_FOR - timedelta(days=1))
    assert certificate.read_bytes() != second


def test_broken_files_are_replaced(tmp_path: Path) -> None:
    certificate, key = ensure_api_certificate(tmp_path, "127.0.0.1", NOW)
    for path in (certificate, key):
        path.write_text("not a certificate")
        ensure_api_certificate(tmp_path, "127.0.0.1", NOW)
        x509.load_pem_x509_certificate(certificate.read_bytes())
    assert sorted(path.name for path in certificate.parent.iterdir()) == ["api.crt", "api.key"]


def test_certificate_names_its_addresses(tmp_path: Path) -> None:
    certificate_pem, key_pem = self_signed(("localhost",), ("127.0.0.1",), NOW)
    names = (
        x509.load_pem_x509_certificate(certificate_pem.encode())
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert "PRIVATE KEY" in key_pem
