"""How listeners are judged."""

from skep.compiler.effective import gateway as gateway_of
from skep.compiler.listeners import ListenerView, judge_listeners, listeners
from skep.model.names import GATEWAY_GROUP, ObjectRef
from tests.support.declared import world
from tests.support.goldens import make_secret
from tests.support.manifests import Document, gateway, gateway_class, grant, listener

EDGE = ObjectRef(GATEWAY_GROUP, "Gateway", "default", "edge")
SECRET = make_secret({"namespace": "vault", "name": "shop", "hostname": "shop.example"})


def judged(*listed: Document, more: tuple[Document, ...] = ()) -> dict[str, ListenerView]:
    memo = world(gateway_class(), gateway(*listed), *more)
    declared = gateway_of(memo, EDGE)
    assert declared is not None
    found = memo.get(listeners, EDGE)
    assert judge_listeners(memo, declared) == found
    return {view.name: view for view in found}


def test_a_plain_listener_is_live() -> None:
    view = judged(listener())["http"]
    assert view.live
    assert not view.tls
    assert view.kinds == ((GATEWAY_GROUP, "HTTPRoute"),)


def test_listeners_that_cannot_be_told_apart_are_all_out() -> None:
    found = judged(listener("a"), listener("b", protocol="http"), listener("c", hostname="c.example"))
    assert [found[name].live for name in "abc"] == [False, False, True]
    assert found["a"].conflicted is not None
    assert found["a"].conflicted.reason == "HostnameConflict"


def test_protocols_do_not_mix_on_a_port() -> None:
    tls = {"certificateRefs": [{"name": "gone"}]}
    found = judged(listener("a"), listener("b", protocol="HTTPS", tls=tls), listener("c", 81))
    reasons = [view.conflicted.reason if view.conflicted else "" for view in found.values()]
    assert reasons == ["ProtocolConflict", "ProtocolConflict", ""]


def test_unknown_protocols_and_kinds_are_said() -> None:
    found = judged(listener("a", protocol="UDP"), listener("b", 81, allowedRoutes={"kinds": [{"kind": "TCPRoute"}]}))
    assert found["a"].accepted.reason == "UnsupportedProtocol"
    assert found["b"].resolved.reason == "InvalidRouteKinds"
    assert found["b"].kinds == ()


def test_a_certificate_of_another_namespace_needs_a_grant() -> None:
    web = listener("web", 8443, "HTTPS", tls={"certificateRefs": [{"name": "shop", "namespace": "vault"}]})
    denied = judged(web, more=(SECRET,))["web"]
    assert (denied.resolved.reason, denied.live) == ("RefNotPermitted", False)
    allowed = grant("vault", [(GATEWAY_GROUP, "Gateway", "default")], kind="Secret")
    granted = judged(web, more=(SECRET, allowed))["web"]
    assert (granted.certificates, granted.live) == (("vault/shop",), True)


def test_one_usable_certificate_is_enough() -> None:
    refs = [{"name": "gone"}, {"name": "shop", "namespace": "vault"}, {"name": "x", "kind": "ConfigMap"}]
    allowed = grant("vault", [(GATEWAY_GROUP, "Gateway", "default")], kind="Secret")
    view = judged(listener("web", 8443, "HTTPS", tls={"certificateRefs": refs}), more=(SECRET, allowed))["web"]
    assert view.live
    assert view.resolved.reason == "InvalidCertificateRef"
