"""order_grabbing: drivers race for a ride, and exactly one gets it."""

import random
import time
from typing import Any

from ride_hailing.http import Refused, Request
from ride_hailing.service import Service

HOLD_S = 60.0
"""A driver whose ride is never closed is free again after this long."""


class Drivers:
    """Who drives whom. One ride has one driver, one driver has one ride."""

    def __init__(self) -> None:
        self._by_ride: dict[str, str] = {}
        self._busy: dict[str, tuple[str, float]] = {}

    def offer(self, ride: str, drivers: list[str], now: float) -> str:
        """Give the ride to the first of the drivers that is free; empty when none is. The same ride keeps its driver."""
        held = self._by_ride.get(ride)
        if held is not None:
            return held
        for driver in drivers:
            current = self._busy.get(driver)
            if current is not None and now - current[1] < HOLD_S:
                continue
            if current is not None:
                self._by_ride.pop(current[0], None)
            self._busy[driver] = (ride, now)
            self._by_ride[ride] = driver
            return driver
        return ""

    def release(self, driver: str, ride: str) -> bool:
        """Set a driver free, unless another ride has the driver by now."""
        if self._busy.get(driver, ("", 0.0))[0] != ride:
            return False
        del self._busy[driver]
        del self._by_ride[ride]
        return True

    def busy(self) -> int:
        """Return how many drivers have a ride."""
        return len(self._busy)


def build(seed: int | None = None) -> Service:
    """Return the service; the seed makes the race repeatable."""
    service = Service("order-grabbing")
    drivers = Drivers()
    race = random.Random(seed)

    @service.on("POST", "/offers")
    async def offer(request: Request) -> dict[str, Any]:
        ride, offered = request.text("ride"), request.json.get("drivers")
        if not isinstance(offered, list) or not all(isinstance(driver, str) for driver in offered):
            raise Refused(400, "drivers: a list of names is needed")
        by_speed = sorted(offered, key=lambda _driver: race.random())
        return {"driver": drivers.offer(ride, by_speed, time.monotonic())}

    @service.on("POST", "/release")
    async def release(request: Request) -> dict[str, Any]:
        return {"released": drivers.release(request.text("driver"), request.text("ride"))}

    @service.on("GET", "/drivers")
    async def busy(_request: Request) -> dict[str, Any]:
        return {"busy": drivers.busy()}

    return service


def main() -> None:
    """Run the service."""
    build().main()


if __name__ == "__main__":
    main()
