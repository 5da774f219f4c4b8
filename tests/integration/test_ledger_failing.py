"""A ledger that fails for real: a disk that is full, a database that stands still, a file that is damaged."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import LedgerDatabase, LedgerFile
from proxy.ledger.postgres import PostgresStore
from proxy.secret import Secret
from tests.support.held_calls import PAYOUT, Held
from tests.support.ledgers import held_up, ledger_rows
from tests.support.origins import HELLO, calling, localpayment, until
from tests.support.postgres import PostgresServer, needs_postgres, postgres_server
from tests.support.scripted_origin import Wire
from tests.support.sidecars import BOUND, Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


READ = "/api/resources/banks"
FIRST = b'"externalId": "order-1"'  # which `held` keeps until it is let go
_IDS = itertools.count(1)


class OneHeld(Held):
    """An origin that keeps the first payout and answers all other calls at once."""

    async def __call__(self, wire: Wire) -> None:
        while True:
            request = await wire.request()
            if FIRST in request:
                self.begun.set()
                await self.go.wait()
            await wire.send(HELLO)


async def pay(relay: Running) -> tuple[int, str]:
    """Pay another order; return status and code."""
    body = {"externalId": f"other-{next(_IDS)}"}
    async with relay.session.post(f"{relay.url}/api/payout", json=body) as answer:
        problem = await answer.json() if answer.content_type == "application/problem+json" else {}
        return answer.status, problem.get("code", "")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a full disk NOT TESTED: no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


async def test_a_full_disk_refuses_payments_but_no_reads_and_loses_no_outcome(disk: Path) -> None:
    held = OneHeld()
    async with localpayment(held) as there:
        settings = settings_for(there.url, ledger=LedgerFile(disk / "ledger.db"), ledger_timeout=BOUND)
        async with sidecar(settings) as relay, calling(relay) as caller:
            await caller.send(PAYOUT)
            await held.begun.wait()
            await asyncio.to_thread(fill, disk / "filling")
            assert await refused(relay)
            calls = there.calls.count(b"POST /api/payout ")
            assert await pay(relay) == (503, "ledger_unavailable")
            assert there.calls.count(b"POST /api/payout ") == calls
            assert (await relay.get(READ))[0] == 200
            held.go.set()
            assert (await caller.one()).status == 200
            (line,) = relay.lines("ledger.failing")
            assert "full" in line["reason"]
            assert relay.value("ledger_failures_total") >= 1
            (disk / "filling").unlink()
            await until_written(relay)
        rows = {row["external_id"]: row["state"] for row in await asyncio.to_thread(ledger_rows, disk / "ledger.db")}
    assert rows.pop("order-1") == "answered"
    assert set(rows.values()) <= {"answered", "not_sent"}


async def test_a_disk_that_stays_full_is_told_once_and_stays_told(disk: Path) -> None:
    async with localpayment(OneHeld()) as there:
        settings = settings_for(there.url, ledger=LedgerFile(disk / "ledger.db"), ledger_timeout=BOUND)
        async with sidecar(settings) as relay:
            ledger = relay.sidecar.ledger
            assert ledger is not None
            await asyncio.to_thread(fill, disk / "filling")
            assert await refused(relay)
            for _ in range(3):
                assert await pay(relay) == (503, "ledger_unavailable")
                while ledger.journal.waiting:
                    await ledger.journal.ask(lambda _store: None)
                assert not await ledger.renew()
                assert relay.value("ledger_writable") == 0
            assert (len(relay.lines("ledger.failing")), relay.lines("ledger.recovered")) == (1, [])
            (disk / "filling").unlink()
            assert await ledger.renew()
            assert relay.value("ledger_writable") == 1
            assert len(relay.lines("ledger.recovered")) == 1


async def refused(relay: Running) -> bool:
    """Pay until that is refused: what SQLite had reserved already may take a few more."""
    for _ in range(200):
        if (await pay(relay))[0] == 503:
            return True
    return False


async def until_written(relay: Running) -> None:
    async with asyncio.timeout(BOUND):
        while (await pay(relay))[0] != 200:  # noqa: ASYNC110 - the next one tells
            await asyncio.sleep(0.01)
        ledger = relay.sidecar.ledger
        assert ledger is not None
        while ledger.journal.waiting:
            await ledger.journal.ask(lambda _store: None)


async def test_a_file_that_was_damaged_is_set_aside_and_told_and_payments_go_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    held = OneHeld()
    async with localpayment(held) as there:
        settings = settings_for(there.url, ledger=LedgerFile(path))
        async with sidecar(settings) as relay:
            assert (await pay(relay))[0] == 200
        path.write_bytes(b"SQLite format 3\0" + b"no such thing" * 1000)
        async with sidecar(settings) as relay:
            assert (await pay(relay))[0] == 200
            (line,) = relay.lines("ledger.set_aside")
            assert line["path"].startswith(f"{path}.damaged-")
        assert len(await asyncio.to_thread(ledger_rows, path)) == 1


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@needs_postgres
@pytest.mark.parametrize("on_failure", ["refuse", "continue"])
async def test_a_database_that_is_too_slow_counts_as_one_that_is_away(server: PostgresServer, on_failure: Any) -> None:
    address = Secret(server.create(f"slow_{on_failure}"))
    held = OneHeld()
    async with localpayment(held) as there:
        settings = settings_for(
            there.url, ledger=LedgerDatabase(address), ledger_timeout=0.3, ledger_on_failure=on_failure
        )
        async with sidecar(settings) as relay, calling(relay) as caller:
            await caller.send(PAYOUT)
            await held.begun.wait()
            other = PostgresStore(address, timeout=BOUND)
            await asyncio.to_thread(other.open)
            standing = await asyncio.to_thread(stand_still, other)
            expected = (503, "ledger_unavailable") if on_failure == "refuse" else (200, "")
            assert await pay(relay) == expected
            assert (await relay.get(READ))[0] == 200
            held.go.set()
            assert (await caller.one()).status == 200
            await asyncio.to_thread(standing.close)
            await asyncio.to_thread(other.close)
            await until_written(relay)
            assert relay.value("ledger_bypassed_total") == (on_failure == "continue")
            assert relay.lines("ledger.failing")
            assert relay.lines("ledger.recovered")
        told = server.ask(f"slow_{on_failure}", "SELECT state, count(*) FROM localpayment_proxy.entry GROUP BY state")
    states = dict(line.split("|") for line in told.split())
    assert int(states.pop("answered")) >= 2 + (on_failure == "continue")
    assert set(states) <= {"not_sent"}


def stand_still(store: PostgresStore) -> contextlib.ExitStack:
    """Keep all others from writing until what is returned is closed."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(store.transaction())
        store.execute_each("LOCK TABLE entry IN ACCESS EXCLUSIVE MODE", [()])
        store.execute("SELECT 1")  # the lock is held once this is answered
        return stack.pop_all()


async def test_what_cannot_be_opened_keeps_the_sidecar_from_starting(tmp_path: Path) -> None:
    settings = settings_for("http://127.0.0.1:9", ledger=LedgerFile(tmp_path / "missing" / "ledger.db"))
    with pytest.raises(Exception, match="No such file"):
        async with sidecar(settings, ready=False):
            pass


async def test_a_second_sidecar_on_the_same_file_does_not_start(tmp_path: Path) -> None:
    async with localpayment(OneHeld()) as there:
        settings = settings_for(there.url, ledger=LedgerFile(tmp_path / "ledger.db"))
        async with sidecar(settings):
            with pytest.raises(Exception, match="another sidecar uses the ledger"):
                async with sidecar(settings):
                    pass


async def test_an_outcome_that_cannot_be_written_until_the_end_is_told(tmp_path: Path) -> None:
    path, held = tmp_path / "ledger.db", OneHeld()
    async with localpayment(held) as there:
        settings = settings_for(there.url, ledger=LedgerFile(path))
        with contextlib.ExitStack() as standing:
            async with sidecar(settings) as relay, calling(relay) as caller:
                await caller.send(PAYOUT)
                await held.begun.wait()
                standing.enter_context(held_up(path))
                held.go.set()
                assert (await caller.one()).status == 200
            (line,) = relay.lines("ledger.cut")
            assert (line["level"], line["waiting"]) == ("error", 1)


async def test_a_row_that_this_version_cannot_read_is_told_and_ends_no_loop(tmp_path: Path) -> None:
    """Another version shares the ledger, or a person has written into it."""
    path = tmp_path / "ledger.db"
    async with (
        localpayment(Wire.until_end) as there,
        sidecar(settings_for(there.url, ledger=LedgerFile(path), response_timeout=0.1)) as relay,
    ):
        ledger = relay.sidecar.ledger
        assert ledger is not None
        assert await pay(relay) == (504, "upstream_timeout")
        await until(lambda: not ledger.journal.waiting)
        await ledger.look_after()
        assert len(ledger.unsettled) == 1
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE entry SET settled = 'refunded', settled_at = 1")
        await ledger.look_after()
        assert ledger.fault == "the ledger failed: ValueError"
        assert await pay(relay) == (504, "upstream_timeout")
