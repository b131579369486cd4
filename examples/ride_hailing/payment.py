"""payment: wallets and what was paid from them. The same ride is never charged twice."""

from typing import Any

from ride_hailing.http import Refused, Request
from ride_hailing.ledger import Ledger
from ride_hailing.service import Service

CREDIT = 100.0
"""What a new wallet holds, and what is added when it runs low."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS wallets (user TEXT PRIMARY KEY, balance REAL NOT NULL);
CREATE TABLE IF NOT EXISTS payments (ride TEXT PRIMARY KEY, user TEXT NOT NULL, amount REAL NOT NULL)
"""


def charge(ledger: Ledger, ride: str, user: str, amount: float) -> float:
    """Charge a ride once, topping the wallet up when it runs low; return the balance."""
    ledger.write("BEGIN IMMEDIATE")
    try:
        ledger.write("INSERT INTO wallets VALUES (?, ?) ON CONFLICT DO NOTHING", user, CREDIT)
        if ledger.write("INSERT INTO payments VALUES (?, ?, ?) ON CONFLICT DO NOTHING", ride, user, amount):
            ledger.write(
                "UPDATE wallets SET balance = balance + ? WHERE user = ? AND balance < ?", CREDIT, user, amount
            )
            ledger.write("UPDATE wallets SET balance = round(balance - ?, 2) WHERE user = ?", amount, user)
        wallet = ledger.one("SELECT balance FROM wallets WHERE user = ?", user)
    except BaseException:
        ledger.write("ROLLBACK")
        raise
    ledger.write("COMMIT")
    return float(wallet["balance"]) if wallet else 0.0


def build(ledger: Ledger) -> Service:
    """Return the service."""
    service = Service("payment")

    @service.on("POST", "/payments")
    async def pay(request: Request) -> dict[str, Any]:
        ride, user, amount = request.text("ride"), request.text("user"), request.number("amount")
        if amount > CREDIT:
            raise Refused(402, f"no wallet holds {amount}")
        balance = charge(ledger, ride, user, amount)
        await service.call(request, "POST", f"http://ordering/rides/{ride}/paid")
        return {"ride": ride, "paid": amount, "balance": balance}

    @service.on("GET", "/wallets/{user}")
    async def show(request: Request) -> dict[str, Any]:
        wallet = ledger.one("SELECT user, balance FROM wallets WHERE user = ?", request.arguments["user"])
        if wallet is None:
            raise Refused(404, "no such wallet")
        return wallet

    return service


def main() -> None:
    """Run the service."""
    build(Ledger("payment", SCHEMA)).main()


if __name__ == "__main__":
    main()
