"""gateway_api: the company's front door. Carries a passenger's request through the services that make up a ride."""

from typing import Any

from ride_hailing.http import Refused, Request
from ride_hailing.service import Service


def bearer(request: Request) -> str:
    """Return the token a passenger sent."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refused(401, "log in first")
    return token


def build() -> Service:
    """Return the service."""
    service = Service("gateway-api")

    async def passenger(request: Request) -> str:
        """Say who asks, and let every service behind us know."""
        known = await service.call(request, "POST", "http://login/check", {"token": bearer(request)})
        request.headers["x-user"] = known["user"]
        return str(known["user"])

    @service.on("POST", "/login")
    async def log_in(request: Request) -> dict[str, Any]:
        return await service.call(request, "POST", "http://login/login", request.json)

    @service.on("POST", "/rides")
    async def ride(request: Request) -> dict[str, Any]:
        """Quote, take the coupon off, order, and pay."""
        user = await passenger(request)
        ride = request.headers["x-request-id"]
        places = {"from": request.text("from"), "to": request.text("to")}
        quote = await service.call(request, "POST", "http://route-analysis/quote", places)
        wanted = {"ride": ride, "user": user, "price": quote["price"]}
        coupon = await service.call(request, "POST", "http://coupons/apply", wanted)
        order = {"ride": ride, "user": user, "price": coupon["price"], **places}
        ordered = await service.call(request, "POST", "http://ordering/rides", order)
        bill = {"ride": ride, "user": user, "amount": coupon["price"]}
        paid = await service.call(request, "POST", "http://payment/payments", bill)
        return {
            "ride": ride,
            "way": quote["way"],
            "minutes": quote["minutes"],
            "driver": ordered["driver"],
            "paid": paid["paid"],
            "coupon": {"version": coupon["version"], "text": coupon["text"]},
        }

    @service.on("GET", "/rides/{ride}")
    async def show(request: Request) -> dict[str, Any]:
        user = await passenger(request)
        found = await service.call(request, "GET", f"http://ordering/rides/{request.arguments['ride']}")
        if found["user"] != user:
            raise Refused(404, "no such ride")
        return found

    return service


def main() -> None:
    """Run the service."""
    build().main()


if __name__ == "__main__":
    main()
