"""The rules of the ride-hailing company, without its network."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ride_hailing import coupons, login, matching, ordering, payment, route_analysis
from ride_hailing.city import MINUTES, PLACES, route
from ride_hailing.http import Refused, Request
from ride_hailing.ledger import Ledger
from ride_hailing.order_grabbing import HOLD_S, Drivers
from ride_hailing.service import Service, match_path


def ask(service: Service, method: str, path: str, document: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    return asyncio.run(service.answer(Request(method, path, {}, {}, json.dumps(document or {}).encode())))


@pytest.mark.parametrize("start", PLACES)
def test_every_way_follows_roads_and_takes_the_least_minutes(start: str) -> None:
    for end in PLACES:
        way, minutes = route(start, end)
        assert (way[0], way[-1]) == (start, end)
        assert minutes == sum(MINUTES[one][other] for one, other in pairwise(way))


def test_prices_rise_only_where_many_wait() -> None:
    assert route_analysis.price(10, route_analysis.BUSY) == 11.0
    assert route_analysis.price(10, 10 * route_analysis.BUSY) == 16.5


def test_demand_forgets_after_a_minute() -> None:
    demand = route_analysis.Demand()
    assert [demand.add("harbour", now) for now in (0.0, 1.0, 60.5)] == [1, 2, 2]
    assert demand.counts(200.0) == {"harbour": 0}


def test_a_quote_needs_two_places_of_the_city() -> None:
    service = route_analysis.build()
    assert ask(service, "POST", "/quote", {"from": "harbour", "to": "market"})[0] == 200
    assert ask(service, "POST", "/quote", {"from": "harbour", "to": "harbour"})[0] == 400
    assert ask(service, "POST", "/quote", {"from": "harbour", "to": "moon"}) == (
        400,
        {"error": "moon: not a place of this city", "service": "route-analysis"},
    )


def test_tokens_hold_for_their_user_until_they_expire() -> None:
    token = login.sign("ann", 100, b"key")
    assert login.verify(token, 99, b"key") == "ann"
    assert login.verify(token, 100, b"key") is None
    assert login.verify(token, 99, b"other") is None
    assert login.verify("é.", 99, b"key") is None
    assert login.verify("", 99, b"key") is None


def test_the_first_password_is_the_password() -> None:
    service = login.build(Ledger("login", login.SCHEMA, ""), b"key")
    status, answer = ask(service, "POST", "/login", {"user": "ann", "password": "one"})
    assert status == 200
    assert ask(service, "POST", "/login", {"user": "ann", "password": "two"})[0] == 401
    assert ask(service, "POST", "/check", {"token": answer["token"]}) == (200, {"user": "ann"})
    assert ask(service, "POST", "/check", {"token": "forged.token"})[0] == 401


def test_versions_of_coupons_differ_and_a_ride_gets_one_discount() -> None:
    ledger = Ledger("coupons", coupons.SCHEMA, "")
    old, new = coupons.build(ledger, "v1"), coupons.build(ledger, "v2")
    first = {"ride": "r1", "user": "ann", "price": 10.0}
    assert ask(old, "POST", "/apply", first)[1]["price"] == 9.5
    assert ask(new, "POST", "/apply", first)[1]["discount"] == 0.5
    answers = [ask(new, "POST", "/apply", {**first, "ride": f"r{n}"})[1] for n in (2, 3, 4)]
    assert [(answer["version"], answer["discount"]) for answer in answers] == [("v2", 3.0), ("v2", 3.0), ("v2", 1.0)]


def test_one_ride_has_one_driver_and_one_driver_one_ride() -> None:
    drivers = Drivers()
    assert drivers.offer("r1", ["a", "b"], 0) == "a"
    assert drivers.offer("r1", ["b"], 1) == "a"
    assert drivers.offer("r2", ["a", "b"], 2) == "b"
    assert drivers.offer("r3", ["a", "b"], 3) == ""
    assert drivers.release("a", "r1")
    assert not drivers.release("a", "r1")
    assert drivers.offer("r3", ["a", "b"], 4) == "a"
    assert drivers.offer("r4", ["b"], 2 + HOLD_S) == "b"
    assert not drivers.release("b", "r2")
    assert drivers.busy() == 2


def test_the_nearest_drivers_come_first() -> None:
    fleet = matching.Fleet(drivers=24)
    fleet.move("driver-007", "lighthouse")
    assert "driver-007" in fleet.nearest("lighthouse")[:3]
    assert sum(fleet.seen().values()) == 24


def test_a_ride_is_charged_once_and_an_empty_wallet_is_filled(tmp_path: Path) -> None:
    ledger = Ledger("payment", payment.SCHEMA, str(tmp_path))
    assert payment.charge(ledger, "r1", "ann", 30.5) == 69.5
    assert payment.charge(ledger, "r1", "ann", 30.5) == 69.5
    assert payment.charge(ledger, "r2", "ann", 80.0) == 89.5
    ledger.close()
    again = Ledger("payment", payment.SCHEMA, str(tmp_path))
    assert payment.charge(again, "r2", "ann", 80.0) == 89.5
    again.close()


def test_unknown_rides_paths_and_methods_are_said_so() -> None:
    service = ordering.build(Ledger("ordering", ordering.SCHEMA, ""))
    assert ask(service, "GET", "/rides/none")[0] == 404
    assert ask(service, "GET", "/nothing/here/at/all") == (404, {"error": "ordering has no /nothing/here/at/all"})
    assert ask(service, "DELETE", "/rides/none") == (405, {"error": "/rides/none takes GET"})
    assert ask(service, "POST", "/rides", {"ride": "r"})[0] == 400


def test_health_says_that_a_service_stops() -> None:
    service = route_analysis.build()
    assert ask(service, "GET", "/healthz") == (200, {"status": "ok"})
    service.stopping = True
    assert ask(service, "GET", "/healthz")[0] == 503


def test_a_bug_spoils_one_request(capsys: pytest.CaptureFixture[str]) -> None:
    service = Service("broken")

    @service.on("GET", "/")
    async def fail(_request: Request) -> dict[str, Any]:
        raise ZeroDivisionError

    assert ask(service, "GET", "/") == (500, {"error": "internal error", "service": "broken"})
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_paths_match_element_by_element() -> None:
    assert match_path(("rides", "{ride}"), ("rides", "7")) == {"ride": "7"}
    assert match_path(("rides", "{ride}"), ("rides",)) is None
    assert match_path(("rides", "{ride}"), ("users", "7")) is None


def test_a_refusal_carries_its_status() -> None:
    assert Refused(402, "no money").status == 402
