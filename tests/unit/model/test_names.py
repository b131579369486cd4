import pytest

from skep.model.names import (
    Namespace,
    ObjectRef,
    ServiceId,
    ServiceName,
    is_dns_label,
    is_dns_subdomain,
    is_label_key,
    is_label_value,
)


@pytest.mark.parametrize("text", ["a", "a-b", "0", "a" * 63, "a--b"])
def test_labels_of_dns(text: str) -> None:
    assert is_dns_label(text)
    assert is_dns_subdomain(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a_b", "a.b", "a\n", "é", "a" * 64])
def test_what_is_no_label_of_dns(text: str) -> None:
    assert not is_dns_label(text)


@pytest.mark.parametrize("text", ["a.b", "a-1.b-2.c", "a" * 253])
def test_subdomains(text: str) -> None:
    assert is_dns_subdomain(text)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a.-b", "a.b\n", "a" * 254])
def test_what_is_no_subdomain(text: str) -> None:
    assert not is_dns_subdomain(text)


@pytest.mark.parametrize("text", ["app", "App_1.x", "skep.dev/service", "a.b/c"])
def test_keys_of_labels(text: str) -> None:
    assert is_label_key(text)


@pytest.mark.parametrize("text", ["", "/", "/a", "a/", "A.b/c", "a/b/c", "-a", "a ", "a" * 64])
def test_what_is_no_key_of_a_label(text: str) -> None:
    assert not is_label_key(text)


def test_values_of_labels() -> None:
    assert is_label_value("")
    assert is_label_value("v1.2_x-3")
    assert not is_label_value("-v1")
    assert not is_label_value("v 1")
    assert not is_label_value("a" * 64)


def test_references_read_as_people_write_them() -> None:
    assert str(ObjectRef("", "Service", "rides", "coupons")) == "Service rides/coupons"
    assert str(ObjectRef("", "Namespace", "", "rides")) == "Namespace rides"
    assert str(ServiceId(Namespace("rides"), ServiceName("coupons"))) == "rides/coupons"
