"""Certificates read from Secrets."""

import base64
from typing import Any

import pytest

from skep.compiler.certificates import certificate, read_certificate
from skep.ir.edge import Certificate
from tests.support.declared import world
from tests.support.goldens import make_secret

ASKED = {"namespace": "default", "name": "shop", "hostname": "shop.example"}


def test_a_good_one_is_read_and_not_shown() -> None:
    found = world(make_secret(ASKED)).get(certificate, "default/shop")
    assert isinstance(found, Certificate)
    assert found.chain_pem.startswith("-----BEGIN CERTIFICATE")
    assert "PRIVATE KEY" in found.key_pem
    assert "PRIVATE" not in repr(found)


@pytest.mark.parametrize(("fault", "said"), [("mismatched", "does not belong"), ("malformed", "not a PEM certificate")])
def test_a_bad_one_is_explained(fault: str, said: str) -> None:
    memo = world(make_secret(ASKED | {"fault": fault}))
    problem = memo.get(read_certificate, "default", "shop")
    assert isinstance(problem, str)
    assert said in problem
    assert memo.get(certificate, "default/shop") is None


def changed(**data: Any) -> str | Certificate:
    secret = make_secret(ASKED)
    secret["type"] = "Opaque"
    secret["data"] = {key: value for key, value in (secret["data"] | data).items() if value is not None}
    return world(secret).get(read_certificate, "default", "shop")


def test_parts_may_be_missing_or_nonsense() -> None:
    assert "has no tls.key" in str(changed(**{"tls.key": None}))
    assert "not an unencrypted PEM private key" in str(changed(**{"tls.key": base64.b64encode(b"x").decode()}))
    assert "not PEM text" in str(changed(**{"tls.crt": base64.b64encode(b"\xff\xfe").decode()}))


def test_an_absent_secret_is_named() -> None:
    assert world().get(read_certificate, "default", "gone") == "there is no Secret default/gone"
    assert world().get(certificate, "nonsense") is None
