"""The order of filters is part of what they mean."""

from skep.xds.translate.filters import (
    ON_DEMAND,
    RETRY_IDEMPOTENT,
    ROUTER,
    gateway_filters,
    inbound_filters,
    outbound_filters,
)
from skep.xds.translate.route import FAULT


def test_filters_are_in_order() -> None:
    assert [f.name for f in gateway_filters()] == [RETRY_IDEMPOTENT, FAULT, ROUTER]
    assert [f.name for f in outbound_filters()] == [RETRY_IDEMPOTENT, ON_DEMAND, FAULT, ROUTER]
    assert [f.name for f in inbound_filters()] == [ROUTER]
