"""What may happen to a call while it waits for its intent: nothing is sent, or exactly what was written is."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import LedgerFile
from tests.support.held_calls import PAYOUT, STREAM, Held
from tests.support.ledgers import held_up, ledger_rows
from tests.support.origins import calling, greeting, localpayment, until
from tests.support.sidecars import BOUND, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from proxy.config import Settings
    from tests.support.origins import Localpayment

pytestmark = pytest.mark.both_loops


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def there() -> AsyncIterator[Localpayment]:
    async with localpayment(greeting) as running:
        yield running


@pytest.fixture
def settings(there: Localpayment, path: Path) -> Settings:
    return settings_for(there.url, ledger=LedgerFile(path), ledger_timeout=BOUND, replay_buffer=64)


def states(path: Path) -> list[str]:
    return [row["state"] for row in ledger_rows(path)]


async def test_a_caller_that_leaves_has_nothing_sent(settings: Settings, there: Localpayment, path: Path) -> None:
    async with sidecar(settings) as relay, calling(relay) as caller:
        with held_up(path):
            await caller.send(PAYOUT)
            await until(lambda: relay.value("in_flight_requests"))
            caller.leave()
            await until(lambda: relay.calls)
        (line,) = relay.calls
        assert (line["outcome"], line["attempts"]) == ("not_sent", 0)
    assert (there.calls, set(states(path)) <= {"not_sent"}) == (b"", True)


async def test_callers_that_send_and_leave_at_once_leave_no_call_behind(
    settings: Settings, there: Localpayment, path: Path
) -> None:
    async with sidecar(settings) as relay:
        for number in range(20):
            async with calling(relay) as caller:
                caller.writer.write(PAYOUT)
                for _ in range(number):
                    await asyncio.sleep(0)
                caller.leave()
        await relay.get("/api/resources/banks")
        await until(lambda: relay.value("in_flight_requests") == 0)
        told = [line["outcome"] for line in relay.calls if line["operation"] == "create_payout"]
        assert there.calls.count(b"POST /api/payout ") == len(told) - told.count("not_sent")
    assert "open" not in states(path)


async def test_a_drain_lets_it_end(settings: Settings, path: Path) -> None:
    async with sidecar(settings) as relay, calling(relay) as caller:
        with held_up(path):
            await caller.send(PAYOUT)
            await until(lambda: relay.value("in_flight_requests"))
            drained = asyncio.create_task(relay.sidecar.drain())
            await until(lambda: relay.sidecar.relay.shedding)
        assert (await caller.one()).status == 200
        assert await drained
    assert states(path) == ["answered"]


async def test_a_stop_that_does_not_wait_sends_nothing_and_says_so(
    settings: Settings, there: Localpayment, path: Path
) -> None:
    async with calling_through(settings, path) as (relay, caller):
        await caller.send(PAYOUT)
        await until(lambda: relay.value("in_flight_requests"))
    assert there.calls == b""
    assert set(states(path)) <= {"not_sent"}


@contextlib.asynccontextmanager
async def calling_through(settings: Settings, path: Path) -> Any:
    """A sidecar that is stopped while its ledger is held up."""
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings))
        caller = await stack.enter_async_context(calling(relay))
        with held_up(path):
            yield relay, caller
            await stack.aclose()


async def test_an_operators_lock_meanwhile_holds(settings: Settings, there: Localpayment, path: Path) -> None:
    async with sidecar(settings) as relay, calling(relay) as caller:
        with held_up(path):
            await caller.send(PAYOUT)
            await until(lambda: relay.value("in_flight_requests"))
            relay.sidecar.keeper.lock()
        answer = await caller.one()
        assert (answer.status, answer.problem["code"], answer.problem["outcome"]) == (503, "locked", "not_sent")
    assert (there.calls, states(path)) == (b"", ["not_sent"])


@pytest.mark.parametrize("sent", [PAYOUT, STREAM], ids=["held", "streamed"])
@pytest.mark.parametrize("late", [0, 5])
async def test_however_the_body_comes_the_intent_is_there_first(sent: bytes, late: int, path: Path) -> None:
    held = Held()
    async with localpayment(held) as there:
        where = settings_for(there.url, ledger=LedgerFile(path), replay_buffer=64)
        async with sidecar(where) as relay, calling(relay) as caller:
            await caller.send(sent[: len(sent) - late])
            await until(lambda: relay.begun)
            await caller.send(sent[len(sent) - late :])
            await held.begun.wait()
            assert await asyncio.to_thread(states, path) == ["open"]
            held.go.set()
            assert (await caller.one()).status == 200
    assert states(path) == ["answered"]


async def test_calls_that_come_behind_wait_for_their_turn(settings: Settings, path: Path) -> None:
    async with sidecar(settings) as relay, calling(relay) as caller:
        first, second = (payout(f"p-{number}") for number in (1, 2))
        with held_up(path):
            await caller.send(first[:-3])
            await until(lambda: relay.begun)
            await caller.send(first[-3:] + second)
        assert [(await caller.one()).status for _ in range(2)] == [200, 200]
    assert [(row["external_id"], row["state"]) for row in ledger_rows(path)] == [
        ("p-1", "answered"),
        ("p-2", "answered"),
    ]


def payout(external_id: str) -> bytes:
    body = b'{"externalId": "%b"}' % external_id.encode()
    return b"POST /api/payout HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
