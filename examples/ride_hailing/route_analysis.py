"""route_analysis: the way between two places, its price, and where passengers are waiting right now."""

import time
from collections import deque
from typing import Any

from ride_hailing.city import MINUTES, route
from ride_hailing.http import Refused, Request
from ride_hailing.service import Service

BASE_FARE = 3.0
PER_MINUTE = 0.8
WINDOW_S = 60.0
BUSY = 600
"""Requests per minute from one place above which prices rise."""


def price(minutes: int, waiting: int) -> float:
    """Return the fare; up to half more where very many passengers wait."""
    surge = 1.0 + min(0.5, max(0, waiting - BUSY) / BUSY)
    return round((BASE_FARE + PER_MINUTE * minutes) * surge, 2)


class Demand:
    """How many passengers asked for a ride from each place in the last minute."""

    def __init__(self) -> None:
        self._asked: dict[str, deque[float]] = {}

    def add(self, place: str, now: float) -> int:
        """Count one more and return how many there are."""
        asked = self._asked.setdefault(place, deque())
        asked.append(now)
        return self._count(asked, now)

    def counts(self, now: float) -> dict[str, int]:
        """Return the number for each place."""
        return {place: self._count(asked, now) for place, asked in sorted(self._asked.items())}

    @staticmethod
    def _count(asked: deque[float], now: float) -> int:
        while asked and asked[0] < now - WINDOW_S:
            asked.popleft()
        return len(asked)


def build() -> Service:
    """Return the service."""
    service = Service("route-analysis")
    demand = Demand()

    @service.on("POST", "/quote")
    async def quote(request: Request) -> dict[str, Any]:
        start, end = request.text("from"), request.text("to")
        for place in (start, end):
            if place not in MINUTES:
                raise Refused(400, f"{place}: not a place of this city")
        if start == end:
            raise Refused(400, "a ride needs two places")
        way, minutes = route(start, end)
        return {"way": way, "minutes": minutes, "price": price(minutes, demand.add(start, time.monotonic()))}

    @service.on("GET", "/demand")
    async def show_demand(_request: Request) -> dict[str, Any]:
        return {"places": demand.counts(time.monotonic())}

    return service


def main() -> None:
    """Run the service."""
    build().main()


if __name__ == "__main__":
    main()
