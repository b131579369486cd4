"""Endpoints by zone, with their weights."""

from skep.ir.upstream import Endpoint, Endpoints
from skep.xds.translate.endpoint import translate_endpoints


def test_zones_are_localities() -> None:
    points = (Endpoint("127.0.0.1", 1, 5, "z2"), Endpoint("127.0.0.2", 1, 100, "z1"), Endpoint("127.0.0.3", 1, 7, "z2"))
    out = translate_endpoints(Endpoints("shop/a:80", points))
    shown = [(g.locality.zone, [e.load_balancing_weight.value for e in g.lb_endpoints]) for g in out.endpoints]
    assert (out.cluster_name, shown) == ("shop/a:80", [("z1", [100]), ("z2", [5, 7])])


def test_no_instance_is_an_empty_assignment() -> None:
    assert not translate_endpoints(Endpoints("shop/a:80")).endpoints
