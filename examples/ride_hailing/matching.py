"""matching: knows where each driver is, and offers a ride to the nearest ones until one grabs it."""

from typing import Any

from ride_hailing.city import MINUTES, PLACES
from ride_hailing.http import Refused, Request
from ride_hailing.service import Service

DRIVERS = 240
OFFERED_AT_ONCE = 8
ROUNDS = 6


class Fleet:
    """The place each driver was last seen at."""

    def __init__(self, drivers: int = DRIVERS) -> None:
        self._at = {f"driver-{number:03}": PLACES[number % len(PLACES)] for number in range(drivers)}

    def nearest(self, place: str) -> list[str]:
        """Return the drivers, the nearest first."""
        away = MINUTES[place]
        return sorted(self._at, key=lambda driver: (away[self._at[driver]], driver))

    def move(self, driver: str, place: str) -> None:
        """Note where a driver will be next."""
        self._at[driver] = place

    def seen(self) -> dict[str, int]:
        """Return how many drivers are at each place."""
        counts = dict.fromkeys(PLACES, 0)
        for place in self._at.values():
            counts[place] += 1
        return counts


def build() -> Service:
    """Return the service."""
    service = Service("matching")
    fleet = Fleet()

    @service.on("POST", "/match")
    async def match(request: Request) -> dict[str, Any]:
        ride, start, finish = request.text("ride"), request.text("from"), request.text("to")
        for place in (start, finish):
            if place not in MINUTES:
                raise Refused(400, f"{place}: not a place of this city")
        nearest = fleet.nearest(start)
        for first in range(0, min(len(nearest), ROUNDS * OFFERED_AT_ONCE), OFFERED_AT_ONCE):
            offer = {"ride": ride, "drivers": nearest[first : first + OFFERED_AT_ONCE]}
            grabbed = await service.call(request, "POST", "http://order-grabbing/offers", offer)
            if grabbed["driver"]:
                fleet.move(grabbed["driver"], finish)
                return {"driver": grabbed["driver"]}
        raise Refused(409, "every driver near you is busy")

    @service.on("GET", "/drivers")
    async def drivers(_request: Request) -> dict[str, Any]:
        return {"places": fleet.seen()}

    return service


def main() -> None:
    """Run the service."""
    build().main()


if __name__ == "__main__":
    main()
