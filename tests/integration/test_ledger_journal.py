"""The thread that writes the ledger: what calls wait for, what they share, and what it does with a store that fails."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from proxy.ledger.entry import End, LedgerError, State, Wanted
from proxy.ledger.journal import MOST_WAITING, Journal
from proxy.ledger.sqlite import SqliteStore
from tests.support.ledgers import DAY, NOW, intent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from proxy.ledger.entry import Entry, Ticket
    from proxy.ledger.store import Store

BOUND = 30.0  # seconds that only a defect reaches


class Gated(SqliteStore):
    """A file whose next write waits for the test, or fails."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, wall=lambda: NOW)
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self.fails = False
        self.batches: list[tuple[int, int]] = []

    def write(self, begun: Sequence[Ticket], ended: Sequence[Ticket]) -> None:
        self.reached.set()
        self.gate.wait(BOUND)
        if self.fails:
            message = "database or disk is full"
            raise LedgerError(message)
        super().write(begun, ended)
        self.batches.append((len(begun), len(ended)))


@pytest.fixture
def store(tmp_path: Path) -> Gated:
    store = Gated(tmp_path / "ledger.db")
    store.open()
    return store


@pytest.fixture
def faults() -> list[str]:
    """Why each commit failed that was told, empty for one that went well."""
    return []


@pytest.fixture
async def journal(store: Gated, faults: list[str]) -> AsyncIterator[Journal]:
    journal = Journal(store, clock=lambda: 0.0, wrote=lambda _seconds, fault: faults.append(fault))
    yield journal
    store.gate.set()
    store.fails = False
    await asyncio.to_thread(journal.close, BOUND)


async def begin(journal: Journal, external_id: str = "p-1", seconds: float = BOUND, *, refused: bool = False) -> Ticket:
    ticket = journal.ticket(intent(external_id), window=DAY, refused=refused)
    try:
        await journal.begin(ticket, seconds)
    except asyncio.CancelledError:
        give_up(journal, ticket)
        raise
    return ticket


def give_up(journal: Journal, ticket: Ticket) -> None:
    """End a call that was not sent."""
    journal.end(ticket, End(NOW, State.NOT_SENT))


def entries(store: Store) -> list[Entry]:
    return list(store.entries(Wanted()))


async def all_written(journal: Journal) -> None:
    while journal.waiting:
        await journal.ask(lambda _store: None)


async def test_a_call_waits_for_its_intent_and_its_end_is_written_behind(journal: Journal) -> None:
    ticket = await begin(journal)
    (entry,) = await journal.ask(entries)
    assert entry.state is State.OPEN
    journal.end(ticket, End(NOW + 1, State.ANSWERED, 201, 1))
    await all_written(journal)
    (entry,) = await journal.ask(entries)
    assert (entry.state, entry.status) == (State.ANSWERED, 201)


async def test_calls_that_come_together_share_a_commit(journal: Journal, store: Gated) -> None:
    store.gate.clear()
    first = asyncio.create_task(begin(journal, "p-0"))
    await asyncio.to_thread(store.reached.wait, BOUND)
    others = [asyncio.create_task(begin(journal, f"p-{number}")) for number in range(1, 33)]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.batches == [(1, 0), (32, 0)]


async def test_a_call_that_could_not_wait_is_closed_should_its_intent_be_written_yet(
    journal: Journal, store: Gated
) -> None:
    store.gate.clear()
    task = asyncio.create_task(begin(journal, seconds=0.0))
    await asyncio.to_thread(store.reached.wait, BOUND)
    ticket = journal.ticket(intent("p-2"), window=DAY, refused=False)
    with pytest.raises(LedgerError, match="did not answer within"):
        await task
    with pytest.raises(LedgerError):
        await journal.begin(ticket, 0.0)
    give_up(journal, ticket)
    store.gate.set()
    await all_written(journal)
    states = {entry.intent.external_id: entry.state for entry in await journal.ask(entries)}
    assert states.get("p-2", State.NOT_SENT) is State.NOT_SENT


async def test_a_call_that_is_cancelled_while_it_waits_is_closed(journal: Journal, store: Gated) -> None:
    store.gate.clear()
    task = asyncio.create_task(begin(journal))
    await asyncio.to_thread(store.reached.wait, BOUND)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.gate.set()
    await all_written(journal)
    assert [entry.state for entry in await journal.ask(entries)] == [State.NOT_SENT]


async def test_an_intent_does_not_wait_for_the_ends_of_other_calls(journal: Journal, store: Gated) -> None:
    journal.end(await begin(journal), End(NOW + 1, State.ANSWERED, 201, 1))
    await begin(journal, "p-2")
    await all_written(journal)
    assert store.batches == [(1, 0), (1, 0), (0, 1)]


async def test_a_call_that_may_repeat_another_waits_for_the_end_of_that_one(journal: Journal) -> None:
    give_up(journal, await begin(journal))
    assert (await begin(journal)).earlier is None
    assert [entry.state for entry in await journal.ask(entries)] == [State.OPEN, State.NOT_SENT]


@pytest.mark.parametrize("end", [End(NOW, State.NOT_SENT), End(NOW, State.ANSWERED, 422)])
async def test_where_others_share_the_ledger_they_learn_at_once_what_was_not_carried_out(
    journal: Journal, store: Gated, end: End
) -> None:
    store.shared = True
    ticket = await begin(journal)
    store.reached.clear()
    journal.end(ticket, end)
    assert store.reached.wait(BOUND)  # the loop stands still meanwhile, and with it the time in which ends gather


async def test_where_others_share_the_ledger_a_repeat_of_an_open_call_is_looked_at_twice_before_it_is_refused(
    journal: Journal, store: Gated
) -> None:
    store.shared = True
    loop, write, ticket = asyncio.get_running_loop(), store.write, await begin(journal)

    def written(begun: Sequence[Ticket], ended: Sequence[Ticket]) -> None:
        write(begun, ended)
        loop.call_soon_threadsafe(give_up, journal, ticket)  # as another sidecar may do just then

    store.write = written  # type: ignore[method-assign]  # which the first look goes through
    assert (await begin(journal, refused=True)).earlier is None


async def test_where_others_share_the_ledger_a_repeat_of_a_call_that_stays_open_is_refused(
    journal: Journal, store: Gated
) -> None:
    store.shared = True
    await begin(journal)
    earlier = (await begin(journal, refused=True)).earlier
    assert earlier is not None
    assert (earlier.state, len(await journal.ask(entries))) == (State.OPEN, 1)


async def test_a_call_that_is_given_up_while_it_is_looked_at_again_is_closed(journal: Journal, store: Gated) -> None:
    store.shared = True
    first, write = await begin(journal), store.write
    of_first = replace(first, end=End(NOW, State.NOT_SENT))
    looks, looked_again, go_on = itertools.count(1), threading.Event(), threading.Event()

    def written(begun: Sequence[Ticket], ended: Sequence[Ticket]) -> None:
        if next(looks) == 2:
            looked_again.set()
            go_on.wait(BOUND)
            write([], [of_first])  # as another sidecar may do just then
        write(begun, ended)

    store.write = written  # type: ignore[method-assign]  # which both looks go through
    task = asyncio.create_task(begin(journal, refused=True))
    await asyncio.to_thread(looked_again.wait, BOUND)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await journal.ask(lambda _store: None)
    await all_written(journal)
    assert [entry.state for entry in await journal.ask(entries)] == [State.NOT_SENT, State.NOT_SENT]


async def test_a_store_that_fails_refuses_calls_and_keeps_ends(journal: Journal, store: Gated) -> None:
    ticket = await begin(journal)
    store.fails = True
    journal.end(ticket, End(NOW + 1, State.ANSWERED, 201, 1))
    with pytest.raises(LedgerError, match="disk is full"):
        await begin(journal, "p-2")
    assert journal.waiting == 1
    store.fails = False
    await begin(journal, "p-3")
    await all_written(journal)
    states = {entry.intent.external_id: entry.state for entry in await journal.ask(entries)}
    assert states == {"p-1": State.ANSWERED, "p-3": State.OPEN}


async def test_a_commit_that_had_nothing_to_write_proves_nothing(
    journal: Journal, store: Gated, faults: list[str]
) -> None:
    await begin(journal, "p-open")
    refused_ticket = journal.ticket(intent("p-1"), window=DAY, refused=False)
    store.fails = True
    with pytest.raises(LedgerError):
        await journal.begin(refused_ticket, BOUND)
    store.fails = False
    give_up(journal, refused_ticket)
    await all_written(journal)
    await begin(journal, "p-open", refused=True)  # a repeat that is left out
    assert faults == ["", "database or disk is full"]
    await begin(journal, "p-2")
    assert faults == ["", "database or disk is full", ""]


async def test_that_nobody_waits_any_more_for_an_intent_that_failed_is_no_defect(
    journal: Journal, store: Gated
) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    store.fails = True
    ticket = journal.ticket(intent("p-1"), window=DAY, refused=False)
    await asyncio.wait((journal.begin(ticket, BOUND),))
    give_up(journal, ticket)
    gc.collect()
    assert told == []


async def test_a_call_that_goes_on_without_the_ledger_is_written_once_it_can_be(journal: Journal, store: Gated) -> None:
    store.fails = True
    ticket = journal.ticket(intent("p-1"), window=DAY, refused=False)
    with pytest.raises(LedgerError):
        await journal.begin(ticket, BOUND)
    ticket.late = True
    journal.end(ticket, End(NOW + 1, State.UNKNOWN, 0, 1))
    store.fails = False
    await begin(journal, "p-2")
    await all_written(journal)
    states = {entry.intent.external_id: entry.state for entry in await journal.ask(entries)}
    assert states == {"p-1": State.UNKNOWN, "p-2": State.OPEN}


async def test_a_defect_in_the_store_does_not_end_the_thread(journal: Journal, store: Gated) -> None:
    del store.batches
    with pytest.raises(LedgerError, match="the ledger failed: AttributeError"):
        await begin(journal)
    store.batches = []
    await begin(journal, "p-2")


async def test_what_waits_for_a_ledger_that_stands_still_is_bounded(journal: Journal, store: Gated) -> None:
    store.gate.clear()
    first = asyncio.create_task(begin(journal, seconds=10 * BOUND))
    await asyncio.to_thread(store.reached.wait, BOUND)
    for _ in range(MOST_WAITING):
        journal.end(journal.ticket(intent(), window=DAY, refused=False), End(NOW, State.NOT_SENT))
    assert (journal.waiting, journal.lost) == (MOST_WAITING, 0)
    journal.end(journal.ticket(intent(), window=DAY, refused=False), End(NOW, State.NOT_SENT))
    assert (journal.waiting, journal.lost) == (MOST_WAITING, 1)
    store.gate.set()
    await first


async def test_closing_writes_what_waits_and_says_when_it_could_not(tmp_path: Path) -> None:
    for fails in (False, True):
        store = Gated(tmp_path / f"{fails}.db")
        await asyncio.to_thread(store.open)
        journal = Journal(store, clock=lambda: 0.0)
        ticket = await begin(journal)
        store.fails = fails
        journal.end(ticket, End(NOW, State.ANSWERED, 200, 1))
        assert await asyncio.to_thread(journal.close, BOUND) is not fails
