"""How long a name is known after its last instance left."""

from skep.compiler import facts
from skep.compiler.memo import Memo
from skep.compiler.services import find
from skep.model.names import Namespace, ServiceId, ServiceName
from skep.pipeline.departed import KEPT_S, Departed

ORDERS, COUPONS = (ServiceId(Namespace("shop"), ServiceName(name)) for name in ("orders", "coupons"))
PORTS = frozenset({9000})


def test_a_name_leads_somewhere_until_its_time_is_over() -> None:
    memo = Memo()
    departed = Departed(memo)
    assert memo.get(find, "shop", "orders", 80).reason == "BackendNotFound"
    departed.note(ORDERS, PORTS, now=100.0)
    departed.expire(99.0 + KEPT_S)
    assert [memo.get(find, "shop", "orders", port).upstream for port in (80, 9000)] == [
        "shop/orders:80",
        "shop/orders:9000",
    ]
    departed.expire(100.0 + KEPT_S)
    assert memo.get(find, "shop", "orders", 80).reason == "BackendNotFound"


def test_a_name_that_left_again_is_kept_from_then_on() -> None:
    memo = Memo()
    departed = Departed(memo)
    departed.note(ORDERS, PORTS, now=0.0)
    departed.note(COUPONS, PORTS, now=1.0)
    departed.note(ORDERS, PORTS, now=200.0)
    departed.expire(1.0 + KEPT_S)
    assert facts.remembered(memo, ORDERS) == PORTS
    assert facts.remembered(memo, COUPONS) == frozenset()
