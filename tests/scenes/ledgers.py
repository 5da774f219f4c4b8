"""What goes wrong with the outcome ledger, and what it finds, scene by scene."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

from proxy.config import LedgerFile
from proxy.simulator.server import Simulator
from tests.scenes.stage import Scene, admin, named, payment
from tests.support.ledgers import begun, intent, sqlite_store
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@contextlib.asynccontextmanager
async def payments_were_left_behind(folder: Path) -> AsyncIterator[Scene]:
    """A process died an hour ago in the middle of payouts; Localpayment knows nothing of them."""
    path = folder / "left.db"
    await asyncio.to_thread(left_behind, path)
    async with Simulator() as there, sidecar(settings_for(there.url, ledger=LedgerFile(path))) as relay:

        async def happen() -> None:
            await asyncio.Event().wait()

        raises = named("LedgerOpen CallsInterrupted")
        yield Scene("payments-were-left-behind", admin(relay), happen, raises, ill=True)


def left_behind(path: Path) -> None:
    store = sqlite_store(path)
    begun(store, *(intent(f"order-{number}", at=time.time() - 3600) for number in range(3)))
    store.close()


@contextlib.asynccontextmanager
async def ledger_is_locked(folder: Path) -> AsyncIterator[Scene]:
    """Another process keeps the ledger's file to itself; calls go on without it, as the settings say."""
    path = folder / "locked.db"
    async with Simulator() as there:
        settings = settings_for(there.url, ledger=LedgerFile(path), ledger_on_failure="continue")
        async with sidecar(settings) as relay:

            async def happen() -> None:
                other = await asyncio.to_thread(sqlite3.connect, path, isolation_level=None, check_same_thread=False)
                try:
                    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
                    for number in range(10_000):
                        await relay.post("/api/payin", payment(number))
                        await asyncio.sleep(0.25)
                finally:
                    other.close()

            raises = named("LedgerNotWritable LedgerBypassed")
            yield Scene("ledger-is-locked", admin(relay), happen, raises)


@contextlib.asynccontextmanager
async def payments_are_repeated(folder: Path) -> AsyncIterator[Scene]:
    """A caller makes the same payment again and again."""
    settings = {"ledger": LedgerFile(folder / "repeated.db")}
    async with Simulator() as there, sidecar(settings_for(there.url, **settings)) as relay:

        async def happen() -> None:
            while True:
                await relay.post("/api/payin", payment(1))
                await asyncio.sleep(0.25)

        yield Scene("payments-are-repeated", admin(relay), happen, named("Duplicates"))
