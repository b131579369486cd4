"""coupons: takes something off the price. VERSION picks the rule: v1 the same for all, v2 more for new passengers."""

import os
from collections.abc import Callable
from typing import Any

from ride_hailing.http import Request
from ride_hailing.ledger import Ledger
from ride_hailing.service import Service

SCHEMA = """
CREATE TABLE IF NOT EXISTS uses (ride TEXT PRIMARY KEY, user TEXT NOT NULL, discount REAL NOT NULL);
CREATE INDEX IF NOT EXISTS uses_by_user ON uses (user)
"""
Rule = Callable[[float, int], tuple[float, str]]
"""From the price and the number of rides before to the discount and what to tell the passenger."""


def flat(price: float, _rides: int) -> tuple[float, str]:
    """v1: five percent for everyone."""
    return round(price * 0.05, 2), "5 % off"


def welcome(price: float, rides: int) -> tuple[float, str]:
    """v2: thirty percent for the first three rides, ten percent afterwards."""
    if rides < 3:
        return round(price * 0.3, 2), f"30 % off: welcome ride {rides + 1} of 3"
    return round(price * 0.1, 2), "10 % off: thank you for staying"


RULES: dict[str, Rule] = {"v1": flat, "v2": welcome}


def build(ledger: Ledger, version: str) -> Service:
    """Return the service in a version."""
    service = Service(f"coupons-{version}")
    rule = RULES[version]

    @service.on("POST", "/apply")
    async def apply(request: Request) -> dict[str, Any]:
        ride, user, price = request.text("ride"), request.text("user"), request.number("price")
        used = ledger.one("SELECT discount FROM uses WHERE ride = ?", ride)
        before = ledger.one("SELECT count(*) AS rides FROM uses WHERE user = ? AND ride != ?", user, ride)
        discount, text = rule(price, before["rides"] if before else 0)
        if used is not None:
            discount = used["discount"]
        else:
            ledger.write("INSERT INTO uses VALUES (?, ?, ?) ON CONFLICT DO NOTHING", ride, user, discount)
        return {"version": version, "discount": discount, "price": round(price - discount, 2), "text": text}

    return service


def main() -> None:
    """Run the service."""
    build(Ledger("coupons", SCHEMA), os.environ.get("VERSION", "v1")).main()


if __name__ == "__main__":
    main()
