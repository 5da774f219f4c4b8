"""The ledger as the relay sees it: intents, repeats, recovery after a crash, and asking what became of calls."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pytest

from proxy.api.operations import match
from proxy.ledger.entry import End, LedgerError, RepeatedCallError, Settled, State, Wanted
from proxy.ledger.ledger import HEARTBEAT, ROUND, Ledger, Rules
from proxy.ledger.reports import CallSettled, Interrupted, Pruned, Repeated, WentOn, Written
from proxy.ledger.schedule import ASKS
from proxy.ledger.settler import PAUSE, Reading
from proxy.ledger.sqlite import SqliteStore
from tests.support.ledgers import DAY, NOW
from tests.support.owned_clock import OwnedClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from proxy.api.operations import Match
    from proxy.ledger.entry import Entry, Ticket
    from proxy.ledger.ledger import Duplicates
    from proxy.ledger.reports import Report
    from proxy.ledger.store import Store

    Opened = Callable[..., AbstractAsyncContextManager["Scene"]]

Told = TypeVar("Told")
LOOPS = 3  # of a ledger that runs
BOUND = 30.0  # seconds that only a defect reaches
RULES = Rules(on_failure="refuse", timeout=BOUND, keep=30 * DAY, duplicates="report", window=DAY)
PAYOUT = match("POST", "/api/payout")
CAPTURE = match("PATCH", "/api/payin/capture/p%2D1")


def body(external_id: str = "p-1", amount: int = 5) -> bytes:
    return json.dumps({"externalId": external_id, "amount": amount}).encode()


class Fallible(SqliteStore):
    """A file that cannot be written while the test says so."""

    fails = False

    def write(self, begun: Sequence[Ticket], ended: Sequence[Ticket]) -> None:
        if self.fails:
            message = "database or disk is full"
            raise LedgerError(message)
        super().write(begun, ended)

    def probe(self) -> None:
        if self.fails:
            message = "database or disk is full"
            raise LedgerError(message)
        super().probe()


class Reads:
    """Localpayment's status reads, as the test has them answered."""

    def __init__(self) -> None:
        self.healthy = True
        self.answer: Reading | None = Reading(404, b"")
        self.asked: list[str] = []
        self.coming = asyncio.Event()  # whether answers come
        self.coming.set()

    async def __call__(self, path: str) -> Reading | None:
        self.asked.append(path)
        await self.coming.wait()
        return self.answer


class Scene:
    """One ledger, its clock, what it asks and what it tells."""

    def __init__(self, path: Path, rules: Rules, clock: OwnedClock) -> None:
        self.store = Fallible(path, wall=clock.wall)
        self.clock = clock
        self.reads = Reads()
        self.told: list[Report] = []
        self._rules = rules

    async def open(self) -> None:
        await asyncio.to_thread(self.store.open)
        self.ledger = Ledger(self.store, self._rules, clock=self.clock, reads=self.reads, report=self.told.append)
        await self.look_after()

    async def look_after(self) -> None:
        await self.ledger.renew()
        await self.ledger.settle()
        await self.ledger.look_after()

    async def begin(
        self,
        content: bytes | None = None,
        request_id: str = "r-1",
        what: Match = PAYOUT,
        duplicates: Duplicates | None = None,
    ) -> Ticket:
        held = body() if content is None else content
        ticket, waited = self.ledger.begin(request_id, "shop", what, held, duplicates)
        await asyncio.wait((waited,))
        try:
            self.ledger.allow(ticket, waited)
        except LedgerError:
            self.end(ticket, State.NOT_SENT, 0)
            raise
        return ticket

    def end(self, ticket: Ticket, state: State = State.ANSWERED, status: int = 200) -> None:
        self.ledger.end(ticket, End(self.clock.wall(), state, status, 1))

    async def entries(self) -> list[Entry]:
        while self.ledger.journal.waiting:
            await self.ledger.journal.ask(lambda _store: None)
        return await self.ledger.journal.ask(_entries)

    def reports(self, kind: type[Told]) -> list[Told]:
        return [one for one in self.told if isinstance(one, kind)]

    async def later(self, seconds: float) -> None:
        """Let time pass, then look after the ledger."""
        self.clock.jump(seconds)
        await self.look_after()


def _entries(store: Store) -> list[Entry]:
    return list(store.entries(Wanted()))


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    clock = OwnedClock(wall=NOW)

    @contextlib.asynccontextmanager
    async def opened(rules: Rules = RULES) -> AsyncIterator[Scene]:
        scene = Scene(tmp_path / "ledger.db", rules, clock)
        await scene.open()
        yield scene
        scene.store.fails = False
        assert await asyncio.to_thread(scene.ledger.close, BOUND)
        await asyncio.sleep(0)

    return opened


async def test_an_intent_says_who_wants_what_done_and_nothing_of_the_body(opened: Opened) -> None:
    async with opened() as scene:
        await scene.begin(body(amount=4_111_111))
        (entry,) = await scene.entries()
        intent = entry.intent
        assert (intent.request_id, intent.caller, intent.operation, intent.kind) == (
            "r-1", "shop", "create_payout", "money_out",
        )  # fmt: skip
        assert (intent.external_id, intent.check) == ("p-1", "/api/transactions/p-1/status")
        assert (intent.at, intent.instance, len(intent.digest)) == (NOW, scene.ledger.instance, 4)
        assert "4111111" not in repr(entry)


async def test_an_id_in_the_path_is_written_decoded_and_a_streamed_body_has_no_digest(opened: Opened) -> None:
    async with opened() as scene:
        ticket, waited = scene.ledger.begin("r-1", "shop", CAPTURE, None)
        await waited
        scene.ledger.allow(ticket, waited)
        (entry,) = await scene.entries()
        assert (entry.intent.external_id, entry.intent.digest) == ("p-1", "")
        assert entry.intent.check == "/api/transactions/p%2D1/status"


async def test_a_repeat_is_told_with_the_earlier_call_and_whether_the_bodies_differ(opened: Opened) -> None:
    async with opened() as scene:
        scene.end(await scene.begin(request_id="r-1"))
        same = await scene.begin(request_id="r-2")
        scene.end(same, State.NOT_SENT, 0)
        other = await scene.begin(body(amount=6), request_id="r-3")
        assert same.earlier is not None
        assert other.earlier is not None
        assert scene.reports(Repeated) == [
            Repeated("r-2", "create_payout", "r-1", same_body=True, refused=False),
            Repeated("r-3", "create_payout", "r-1", same_body=False, refused=False),
        ]


async def test_a_repeat_is_refused_where_the_settings_say_so_but_not_after_not_sent(opened: Opened) -> None:
    async with opened(replace(RULES, duplicates="refuse")) as scene:
        scene.end(await scene.begin(), State.NOT_SENT, 0)
        await scene.entries()
        scene.end(await scene.begin(request_id="r-2"))
        with pytest.raises(RepeatedCallError) as told:
            await scene.begin(request_id="r-3")
        assert told.value.earlier.request_id == "r-2"
        assert len(await scene.entries()) == 2


async def test_what_only_sets_a_state_is_no_repeat_unless_the_policy_says_so(opened: Opened) -> None:
    enable = match("PUT", "/api/virtual-account/va-1/activation/enable/")
    async with opened(replace(RULES, duplicates="refuse")) as scene:
        for _ in range(2):
            scene.end(await scene.begin(b"", what=enable))
        assert scene.reports(Repeated) == []
        with pytest.raises(RepeatedCallError):
            await scene.begin(b"", what=enable, duplicates="refuse")


async def test_a_hundred_equal_calls_at_once_let_one_through(opened: Opened) -> None:
    async with opened(replace(RULES, duplicates="refuse")) as scene:
        results = await asyncio.gather(*(scene.begin() for _ in range(100)), return_exceptions=True)
        assert sum(not isinstance(one, RepeatedCallError) for one in results) == 1


async def test_a_ledger_that_cannot_be_written_refuses_calls_and_serves_again(opened: Opened) -> None:
    async with opened() as scene:
        scene.store.fails = True
        with pytest.raises(LedgerError):
            await scene.begin()
        assert scene.ledger.fault == "database or disk is full"
        scene.store.fails = False
        await scene.begin()
        await scene.entries()
        assert scene.ledger.fault == ""
        assert [one for one in scene.reports(Written) if one.fault]


async def test_a_ledger_that_can_be_written_again_is_noticed_without_another_call(opened: Opened) -> None:
    async with opened() as scene:
        scene.store.fails = True
        with pytest.raises(LedgerError):
            await scene.begin()
        assert not await scene.ledger.renew()
        assert scene.ledger.fault == "database or disk is full"
        scene.store.fails = False
        assert await scene.ledger.renew()
        assert scene.ledger.fault == ""
        assert not scene.reports(Written)[-1].fault


async def test_or_lets_them_go_on_and_writes_them_once_it_can(opened: Opened) -> None:
    async with opened(replace(RULES, on_failure="continue")) as scene:
        scene.store.fails = True
        ticket = await scene.begin()
        assert scene.reports(WentOn) == [WentOn("r-1", "create_payout")]
        scene.end(ticket, State.UNKNOWN, 0)
        scene.store.fails = False
        await scene.begin(body("p-2"))
        assert {entry.state for entry in await scene.entries()} == {State.UNKNOWN, State.OPEN}


async def test_calls_of_the_process_before_are_interrupted_told_once_and_settled(opened: Opened) -> None:
    async with opened() as scene:
        await scene.begin()
        scene.end(await scene.begin(body("p-2")))
    async with opened() as scene:
        (told,) = scene.reports(Interrupted)
        assert (told.entry.intent.external_id, told.entry.state) == ("p-1", State.INTERRUPTED)
        assert scene.ledger.summary.open == {"create_payout": 1}
        scene.reads.answer = Reading(
            200, json.dumps({"externalId": "p-1", "status": {"description": "COMPLETED"}}).encode()
        )
        await scene.later(ASKS[0] - 1)
        assert scene.reads.asked == []
        await scene.later(1)
        assert scene.reads.asked == ["/api/transactions/p-1/status"]
        (settled,) = scene.reports(CallSettled)
        assert (settled.settled, settled.word) == (Settled.EXECUTED, "COMPLETED")
        assert scene.ledger.summary.open == {}
    async with opened() as scene:
        assert scene.reports(Interrupted) == []


async def test_a_call_that_is_not_found_is_asked_about_for_a_day(opened: Opened) -> None:
    async with opened() as scene:
        scene.end(await scene.begin(), State.UNKNOWN, 0)
        await scene.entries()
        passed = 0.0
        for at in ASKS:
            assert scene.reports(CallSettled) == []
            await scene.later(at - passed)
            passed = at
        (settled,) = scene.reports(CallSettled)
        assert (settled.settled, len(scene.reads.asked)) == (Settled.NOT_FOUND, len(ASKS))
        (entry,) = await scene.entries()
        assert (entry.settled, entry.asks) == (Settled.NOT_FOUND, len(ASKS))


async def test_a_clock_that_is_set_ahead_makes_no_ask_the_last_before_its_time(opened: Opened) -> None:
    async with opened() as scene:
        scene.end(await scene.begin(), State.UNKNOWN, 0)
        await scene.entries()
        scene.clock.jump(2 * DAY)  # which this machine alone believes
        passed = 0.0
        for at in ASKS:
            assert scene.reports(CallSettled) == []
            scene.reads.answer = Reading(404, b"", date=NOW + at)
            await scene.later(at - passed)
            passed = at
        (settled,) = scene.reports(CallSettled)
        assert (settled.settled, len(scene.reads.asked)) == (Settled.NOT_FOUND, len(ASKS))


async def test_nothing_is_asked_while_asking_makes_no_sense_and_nothing_is_concluded(opened: Opened) -> None:
    async with opened() as scene:
        scene.end(await scene.begin(), State.ORPHANED, 200)
        await scene.entries()
        scene.reads.healthy = False
        await scene.later(2 * DAY)
        assert scene.reads.asked == []
        scene.reads.healthy, scene.reads.answer = True, None
        await scene.later(0)
        assert (len(scene.reads.asked), scene.reports(CallSettled)) == (1, [])
        scene.reads.answer = Reading(0, b"")
        await scene.later(PAUSE)
        (settled,) = scene.reports(CallSettled)
        assert settled.settled is Settled.UNDETERMINED


async def test_a_call_that_no_read_tells_of_is_undetermined(opened: Opened) -> None:
    async with opened() as scene:
        ticket = await scene.begin(b"{}", what=match("POST", "/api/payout/authorize"))
        scene.end(ticket, State.UNKNOWN, 0)
        await scene.entries()
        await scene.later(ASKS[0])
        (settled,) = scene.reports(CallSettled)
        assert (settled.settled, scene.reads.asked) == (Settled.UNDETERMINED, [])


async def test_a_defect_that_an_ask_meets_is_told_and_the_others_are_asked_about(opened: Opened) -> None:
    async with opened() as scene:
        for number in range(2):
            scene.end(await scene.begin(body(f"p-{number}")), State.UNKNOWN, 0)
        await scene.entries()
        told: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        scene.reads.answer = Reading(200, None)  # type: ignore[arg-type]  # which only a defect would give
        await scene.later(ASKS[0])
        assert [str(one["message"]) for one in told] == ["a call in the ledger could not be asked about"] * 2
        scene.reads.answer = Reading(200, b'{"status": "COMPLETED"}')
        await scene.later(PAUSE)
        assert [one.settled for one in scene.reports(CallSettled)] == [Settled.EXECUTED] * 2


async def test_old_entries_are_removed_and_that_is_told(opened: Opened) -> None:
    async with opened() as scene:
        for number in range(3):
            scene.end(await scene.begin(body(f"p-{number}")))
        await scene.begin(body("p-open"))
        await scene.entries()
        await scene.later(31 * DAY)
        assert scene.reports(Pruned) == [Pruned(3)]
        assert [entry.intent.external_id for entry in await scene.entries()] == ["p-open"]


async def test_it_looks_after_itself_round_after_round(opened: Opened) -> None:
    async with opened() as scene:
        scene.end(await scene.begin(), State.UNKNOWN, 0)
        await scene.entries()
        task = asyncio.create_task(scene.ledger.run())
        for _ in range(int(ASKS[0] / ROUND) + 1):
            await scene.clock.advance(ROUND, LOOPS)
        await scene.clock.asleep(LOOPS)
        assert len(scene.reads.asked) == 1
        assert HEARTBEAT % ROUND == 0
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_status_read_that_hangs_keeps_nothing_from_being_counted(opened: Opened) -> None:
    async with opened() as scene:
        scene.end(await scene.begin(), State.UNKNOWN, 0)
        await scene.entries()
        scene.reads.coming.clear()
        task = asyncio.create_task(scene.ledger.run())
        for _ in range(int(ASKS[0] / ROUND)):
            await scene.clock.advance(ROUND, LOOPS)
        await scene.begin(body("p-2"))
        await scene.clock.advance(ROUND, LOOPS - 1)
        await scene.clock.asleep(LOOPS - 1)
        assert (len(scene.reads.asked), scene.ledger.summary.open.total()) == (1, 2)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
