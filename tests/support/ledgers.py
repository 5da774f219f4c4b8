"""Ledgers for tests: intents, tickets and stores of either engine."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxy.ledger.entry import End, Intent, State
from proxy.ledger.postgres import PostgresStore
from proxy.ledger.sqlite import SqliteStore
from proxy.ledger.store import Ticket
from proxy.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.ledger.store import Store

NOW = 1_700_000_000.0
DAY = 86_400.0
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
