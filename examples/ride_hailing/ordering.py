"""ordering: the rides and what became of them. A ride is ordered, matched with a driver, and paid."""

import time
from typing import Any

from ride_hailing.http import Refused, Request
from ride_hailing.ledger import Ledger
from ride_hailing.service import Service

SCHEMA = """
CREATE TABLE IF NOT EXISTS rides (
  ride TEXT PRIMARY KEY, user TEXT NOT NULL, start TEXT NOT NULL, finish TEXT NOT NULL, price REAL NOT NULL,
  driver TEXT NOT NULL DEFAULT '', status TEXT NOT NULL DEFAULT 'ordered', at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS rides_by_user ON rides (user, at)
"""


def build(ledger: Ledger) -> Service:
    """Return the service."""
    service = Service("ordering")

    def load(ride: str) -> dict[str, Any]:
        found = ledger.one("SELECT * FROM rides WHERE ride = ?", ride)
        if found is None:
            raise Refused(404, f"{ride}: no such ride")
        return found

    @service.on("POST", "/rides")
    async def order(request: Request) -> dict[str, Any]:
        """Write the order down, then find a driver. The same ride ordered twice is one ride."""
        ride, user, price = request.text("ride"), request.text("user"), request.number("price")
        start, finish = request.text("from"), request.text("to")
        ledger.write(
            "INSERT INTO rides (ride, user, start, finish, price, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            *(ride, user, start, finish, price, time.time()),
        )
        if not load(ride)["driver"]:
            wanted = {"ride": ride, "from": start, "to": finish}
            match = await service.call(request, "POST", "http://matching/match", wanted)
            ledger.write(
                "UPDATE rides SET driver = ?, status = 'matched' WHERE ride = ? AND driver = ''", match["driver"], ride
            )
        return load(ride)

    @service.on("POST", "/rides/{ride}/paid")
    async def paid(request: Request) -> dict[str, Any]:
        """Close the ride and set its driver free."""
        ride = request.arguments["ride"]
        closed = ledger.change("UPDATE rides SET status = 'paid' WHERE ride = ? RETURNING driver", ride)
        if closed is None:
            raise Refused(404, f"{ride}: no such ride")
        await service.call(request, "POST", "http://order-grabbing/release", {"driver": closed["driver"], "ride": ride})
        return load(ride)

    @service.on("GET", "/rides/{ride}")
    async def show(request: Request) -> dict[str, Any]:
        return load(request.arguments["ride"])

    @service.on("GET", "/users/{user}/rides")
    async def show_all(request: Request) -> dict[str, Any]:
        rides = ledger.read("SELECT * FROM rides WHERE user = ? ORDER BY at DESC LIMIT 20", request.arguments["user"])
        return {"rides": rides}

    return service


def main() -> None:
    """Run the service."""
    build(Ledger("ordering", SCHEMA)).main()


if __name__ == "__main__":
    main()
