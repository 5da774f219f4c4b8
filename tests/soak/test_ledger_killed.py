"""Payments under load while the sidecar is killed at random moments: none is forgotten, and none is made twice.

KILLS says how often, 10 by default for each engine; `make soak` takes 200. Callers repeat with the same id whatever
they do not know, and `PROXY_DUPLICATES=refuse` is all that keeps them from paying twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest

from proxy.ledger.entry import UNSETTLED, Settled, State, Wanted
from tests.support.addresses import free_port
from tests.support.bank import Bank
from tests.support.ledgers import postgres_store, sqlite_store
from tests.support.origins import localpayment
from tests.support.postgres import needs_postgres, postgres_server
from tests.support.processes import Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from proxy.ledger.entry import Entry
    from proxy.ledger.store import Store
    from tests.support.origins import Localpayment

KILLS: Final = int(os.environ.get("KILLS", "10"))
CALLERS: Final = 16
LATEST: Final = 0.4  # seconds after it serves, or was started, at which the sidecar is killed at the latest
BOUND: Final = 60.0
SETTLING: Final = 60.0 + KILLS  # seconds for what one sidecar asks, one read after the other
FINAL: Final = (201, 409)
DAY: Final = 90_000.0  # seconds, and somewhat more: the last ask is due


class Engine:
    """Where the ledger is, as the sidecar and the test see it."""

    def __init__(self, address: str, store: Store) -> None:
        self.address = address
        self.store = store

    def let_leases_end(self) -> None:
        """Let those that looked after open calls be dead for longer than a lease lasts."""
        if self.address.startswith("postgresql:"):
            with self.store.transaction():
                # The server may still be at work on what the dead sent last.
                self.store.execute_each("LOCK TABLE entry IN SHARE ROW EXCLUSIVE MODE", [()])
                self.store.execute_each("UPDATE instance SET until = now() - interval '1 second'", [()])
                self.store.execute_each("UPDATE entry SET at = at - 120 WHERE state = 'open'", [()])

    def run(self, sql: str, *values: object) -> None:
        with self.store.transaction():
            self.store.execute_each(sql, [values])

    def entries(self) -> list[Entry]:
        return list(self.store.entries(Wanted()))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            path = tmp_path / "ledger.db"
            sqlite_store(path).close()
            address = f"sqlite:{path}"
            store: Store = sqlite_store(path, writes=False)
        else:
            address = stack.enter_context(postgres_server()).create("payments")
            store = postgres_store(address)
        stack.callback(store.close)
        yield Engine(address, store)


class Callers:
    """Callers that pay one order after the other, and repeat what they got no answer to."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)
        self.answers: Counter[int] = Counter()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CALLERS):
                tasks.create_task(self._pay_for_ever())

    async def _pay_for_ever(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                external_id = f"order-{next(self._numbers)}"
                while await self._pay(session, external_id) not in FINAL:  # noqa: ASYNC110 - a dead sidecar tells nobody
                    await asyncio.sleep(0.01)

    async def _pay(self, session: aiohttp.ClientSession, external_id: str) -> int:
        body = json.dumps({"externalId": external_id, "amount": 5})
        status = 0
        with contextlib.suppress(aiohttp.ClientError):
            async with session.post(f"{self._url}/api/payout", data=body) as answer:
                await answer.read()
                status = answer.status
        self.answers[status] += 1
        return status


@contextlib.asynccontextmanager
async def serving(there: Localpayment, engine: Engine, port: int) -> AsyncIterator[Running]:
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": there.url,
        "LOCALPAYMENT_USERNAME": "anything",
        "LOCALPAYMENT_PASSWORD": "anything",
        "PROXY_LISTEN": f"127.0.0.1:{port}",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        "PROXY_LEDGER": engine.address,
        "PROXY_LEDGER_TIMEOUT": "20s",
        "PROXY_DUPLICATES": "refuse",
        "PROXY_LOG_LEVEL": "warning",
    }
    async with running("serve", settings=settings, stdout=asyncio.subprocess.DEVNULL) as process:
        yield process


async def served(url: str) -> None:
    """Wait until calls are carried."""
    async with asyncio.timeout(BOUND), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/api/transactions/none/status") as answer:
                    if answer.status < 500:
                        return
            await asyncio.sleep(0.01)


@pytest.mark.timeout(300 + 20 * KILLS)
async def test_no_payment_is_forgotten_or_made_twice(engine: Engine) -> None:
    seed = random.randrange(1 << 32)  # noqa: S311 - which moment comes next is no secret
    chance = random.Random(seed)  # noqa: S311 - the same
    bank, port = Bank(chance), free_port()
    url = f"http://127.0.0.1:{port}"
    callers = Callers(url)
    async with localpayment(bank) as there:
        load = asyncio.create_task(callers.run())
        for _ in range(KILLS):
            async with serving(there, engine, port) as process:
                if chance.random() < 0.8:
                    await served(url)
                await asyncio.sleep(chance.uniform(0, LATEST))
                await process.stopped(signal.SIGKILL)
            await asyncio.to_thread(engine.let_leases_end)
        load.cancel()
        await asyncio.wait((load,))
        async with serving(there, engine, port):
            await served(url)
            await asyncio.to_thread(settle, engine, bank)
    entries = await asyncio.to_thread(engine.entries)
    print(figures(engine, seed, bank, callers, entries))  # noqa: T201 - what the soak measured, shown by `make soak`
    judge(entries, bank)
    assert callers.answers[201]


def figures(engine: Engine, seed: int, bank: Bank, callers: Callers, entries: list[Entry]) -> str:
    states = Counter(entry.state.value for entry in entries)
    settled = Counter(entry.settled.value for entry in entries if entry.settled)
    kind = engine.address.partition(":")[0]
    return (
        f"{kind}, seed {seed}: {KILLS} kills, {len(bank.executed)} payments made; answers {dict(callers.answers)}, "
        f"entries {dict(states)}, settled {dict(settled)}"
    )


def settle(engine: Engine, bank: Bank) -> None:
    """Have asked what became of calls: at once, and again when the last ask is due."""
    until_settled(engine, lambda entry: entry.intent.external_id in bank.executed)
    early = [entry for entry in engine.entries() if entry.settled is Settled.NOT_FOUND]
    assert not early, "absent now is not absent for ever"
    engine.run("UPDATE entry SET ended_at = ended_at - ? WHERE settled IS NULL AND next_ask IS NOT NULL", DAY)
    until_settled(engine, lambda _entry: True)


def until_settled(engine: Engine, wanted: Callable[[Entry], bool]) -> None:
    until_none(engine, lambda entry: entry.state is State.OPEN)
    engine.run("UPDATE entry SET next_ask = ? WHERE settled IS NULL AND next_ask IS NOT NULL", 0.0)
    until_none(engine, lambda entry: entry.settled is None and entry.state in UNSETTLED and wanted(entry))


def until_none(engine: Engine, left: Callable[[Entry], bool]) -> None:
    until = time.monotonic() + SETTLING
    while any(left(entry) for entry in engine.entries()):
        assert time.monotonic() < until
        time.sleep(0.5)


def judge(entries: list[Entry], bank: Bank) -> None:
    """Compare the ledger with the truth."""
    intents = {entry.intent.external_id for entry in entries}
    assert [external_id for external_id, count in bank.executed.items() if count > 1] == []
    assert set(bank.executed) <= intents
    for entry in entries:
        executed = entry.intent.external_id in bank.executed
        match entry.state:
            case State.ANSWERED:
                assert executed
            case State.NOT_SENT:
                assert entry.attempts == 0 or not executed
            case state:
                assert state in UNSETTLED
                assert entry.settled is (Settled.EXECUTED if executed else Settled.NOT_FOUND)
