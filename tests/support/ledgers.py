"""Ledgers for tests: intents, tickets and stores of either engine."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxy.ledger.entry import End, Intent, State, Ticket, Wanted
from proxy.ledger.postgres import PostgresStore
from proxy.ledger.sqlite import SqliteStore
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.ledger.store import Store
    from tests.support.sidecars import Running

NOW = 1_700_000_000.0
DAY = 86_400.0
BOUND = 20.0  # seconds that nothing here may take
PAYIN = {"currency": "MXN", "country": "MEX", "accountNumber": "032.840.00000001"}
_SERIALS = itertools.count(1)


def intent(external_id: str = "", *, at: float = NOW, instance: str = "one", **given: Any) -> Intent:
    """A payout about to be sent."""
    made = Intent(
        request_id=f"r-{next(_SERIALS)}",
        at=at,
        instance=instance,
        caller="shop",
        operation="create_payout",
        kind="money_out",
        external_id=external_id,
        check=f"/api/transactions/{external_id}/status" if external_id else "",
    )
    return replace(made, **given)


def ticket(of: Intent, *, window: float = DAY, refused: bool = False, late: bool = False) -> Ticket:
    return Ticket(next(_SERIALS), of, window, refused, late)


def ended(one: Ticket, state: State = State.ANSWERED, status: int = 200, at: float = NOW + 1) -> Ticket:
    """The ticket, with an end that is to be written."""
    one.end = End(at, state, status, attempts=1)
    return one


def sqlite_store(path: Path, *, writes: bool = True) -> SqliteStore:
    store = SqliteStore(path, wall=lambda: NOW, writes=writes)
    store.open()
    return store


def postgres_store(url: str) -> PostgresStore:
    store = PostgresStore(Secret(url), timeout=5.0)
    store.open()
    return store


def begun(store: Store, *intents: Intent) -> list[Ticket]:
    """Write some intents."""
    tickets = [ticket(one) for one in intents]
    store.write(tickets, [])
    return tickets


def ledger_rows(path: Path) -> list[dict[str, Any]]:
    """What another process would read of a file now."""
    database = sqlite3.connect(path)
    try:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM entry ORDER BY number")]
    finally:
        database.close()


async def pay(
    relay: Running, external_id: str = "order-1", amount: float = 5
) -> tuple[int, dict[str, Any], str | None]:
    """Pay once; return status, content, and the call that this one repeats."""
    body = {**PAYIN, "externalId": external_id, "amount": amount}
    async with relay.session.post(f"{relay.url}/api/payin", json=body) as answer:
        return answer.status, await answer.json(), answer.headers.get("Localpayment-Proxy-Duplicate-Of")


@contextlib.contextmanager
def held_up(path: Path) -> Iterator[None]:
    """Keep the ledger from writing inside the block, as a disk does that stands still."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def until_ended(relay: Running) -> None:
    """Wait until every call has its end in the ledger; it is written a moment after the caller was told."""
    ledger, still_open = relay.sidecar.ledger, Wanted(states=frozenset((State.OPEN,)))
    assert ledger is not None
    async with asyncio.timeout(BOUND):
        while await ledger.journal.ask(lambda store: list(store.entries(still_open))):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
