"""Sidecars that share a ledger in PostgreSQL, and what they do while the database is away."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import LedgerDatabase
from proxy.ledger.entry import LedgerError
from proxy.ledger.journal import STILL, Journal
from proxy.secret import Secret
from proxy.simulator.server import Simulator
from tests.support.ledgers import PAYIN, intent, pay, postgres_store
from tests.support.postgres import PostgresServer, needs_postgres, postgres_server
from tests.support.sidecars import BOUND, Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from proxy.config import Settings
    from proxy.ledger.store import Store

pytestmark = needs_postgres
READ = "/api/accounts/032.840.00000001/balance"
_NAMES = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def database(server: PostgresServer) -> str:
    name = f"fleet_{next(_NAMES)}"
    server.create(name)
    return name


@pytest.fixture
async def origin() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


def sharing(origin: Simulator, server: PostgresServer, database: str, **changes: Any) -> Settings:
    place = LedgerDatabase(Secret(server.url(database)))
    return settings_for(origin.url, **{"ledger": place, "ledger_timeout": BOUND, **changes})


async def test_a_payment_stands_there_with_its_end(origin: Simulator, server: PostgresServer, database: str) -> None:
    async with sidecar(sharing(origin, server, database)) as relay:
        assert (await pay(relay))[0] == 201
    told = server.ask(database, "SELECT external_id, state, status, attempts FROM localpayment_proxy.entry")
    assert told == "order-1|answered|201|1"


async def captured(relay: Running) -> int:
    async with relay.session.patch(f"{relay.url}/api/payin/capture/order-1", json={"amount": 5}) as answer:
        return answer.status


async def test_of_a_hundred_equal_captures_through_two_sidecars_one_is_sent(
    origin: Simulator, server: PostgresServer, database: str
) -> None:
    settings = sharing(origin, server, database, duplicates="refuse")
    async with sidecar(settings) as one, sidecar(settings) as two:
        hold = {**PAYIN, "externalId": "order-1", "amount": 5}
        async with one.session.post(f"{one.url}/api/payin", json=hold, headers={"X-Capture": "true"}) as held:
            assert held.status == 201
        answers = await asyncio.gather(*(captured(relay) for _ in range(50) for relay in (one, two)))
        assert sorted(answers) == [200] + [409] * 99
        assert origin.executions("capture_payin", "order-1") == 1
        assert one.value("ledger_interrupted_total") == two.value("ledger_interrupted_total") == 0
    counted = "SELECT count(*) FROM localpayment_proxy.entry WHERE operation = 'capture_payin'"
    assert server.ask(database, counted) == "1"


async def test_a_database_that_is_stopped_refuses_payments_but_no_reads_until_it_is_back(
    origin: Simulator, server: PostgresServer, database: str
) -> None:
    async with sidecar(sharing(origin, server, database)) as relay:
        assert (await pay(relay, "before"))[0] == 201
        await asyncio.to_thread(server.stop)
        try:
            status, problem, _ = await pay(relay, "meanwhile")
            assert (status, problem["code"], problem["outcome"]) == (503, "ledger_unavailable", "not_sent")
            assert (await relay.get(READ))[0] == 200
            (line,) = relay.lines("ledger.failing")
            assert "never-shown" not in line["reason"]
        finally:
            await asyncio.to_thread(server.start)
        assert (await pay(relay, "after"))[0] == 201
        assert relay.lines("ledger.recovered")
    told = server.ask(database, "SELECT external_id, state FROM localpayment_proxy.entry ORDER BY number")
    assert told.split() == ["before|answered", "after|answered"]
    assert "never-shown" not in relay.text_of_log


async def test_a_database_that_is_back_is_written_again_before_the_next_call(
    origin: Simulator, server: PostgresServer, database: str
) -> None:
    async with sidecar(sharing(origin, server, database)) as relay:
        ledger = relay.sidecar.ledger
        assert ledger is not None
        await asyncio.to_thread(server.stop)
        try:
            assert not await ledger.renew()
            assert relay.value("ledger_writable") == 0
        finally:
            await asyncio.to_thread(server.start)
        assert await ledger.renew()
        assert relay.value("ledger_writable") == 1
        assert relay.lines("ledger.recovered")


async def test_a_sidecar_starts_without_its_database_and_writes_once_it_is_there(
    origin: Simulator, server: PostgresServer, database: str
) -> None:
    await asyncio.to_thread(server.stop)
    try:
        started = sidecar(sharing(origin, server, database))
        relay = await started.__aenter__()
        assert (await relay.admin("/readyz"))[0] == 200
        assert (await pay(relay))[1]["code"] == "ledger_unavailable"
    finally:
        await asyncio.to_thread(server.start)
    assert (await pay(relay))[0] == 201
    await started.__aexit__(None, None, None)


def backend(store: Store) -> int:
    with store.transaction():
        return int(store.execute("SELECT pg_backend_pid()")[0][0])


async def test_a_server_that_stands_still_is_left_for_one_that_does_not(server: PostgresServer, database: str) -> None:
    moment = [0.0]
    store = await asyncio.to_thread(postgres_store, server.url(database))
    journal = Journal(store, clock=lambda: moment[0])
    still = await journal.ask(backend)

    async def begin(seconds: float) -> None:
        await journal.begin(journal.ticket(intent("p-1"), window=BOUND, refused=False), seconds)

    os.kill(still, signal.SIGSTOP)
    try:
        for _ in range(2):
            with pytest.raises(LedgerError, match="did not answer"):
                await begin(0.1)
            moment[0] += STILL + 1
        async with asyncio.timeout(BOUND):
            while True:
                with contextlib.suppress(LedgerError):
                    await begin(BOUND)
                    break
        assert await journal.ask(backend) != still
    finally:
        os.kill(still, signal.SIGCONT)
    assert await asyncio.to_thread(journal.close, BOUND)
