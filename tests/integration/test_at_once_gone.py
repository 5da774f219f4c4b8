"""A caller that goes away while its call is under way: a read ends with it, a payment is finished."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.fakes import settle
from tests.support.origins import calling, greeting, until
from tests.support.sent_at_once import HELLO, ORDER, PAY, READ, Holding, ask, at_rest, in_front_of, listener_of

if TYPE_CHECKING:
    from typing import Any

    from tests.support.sidecars import Running

DECLINED = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="api"\r\nContent-Length: 0\r\n\r\n'


async def the_line(relay: Running) -> dict[str, Any]:
    await until(lambda: relay.calls and at_rest(relay))
    (line,) = relay.calls
    return line


async def test_a_read_is_cancelled_and_its_connection_to_localpayment_ended() -> None:
    held = Holding()
    async with in_front_of(held) as (there, relay, at_once, caller):
        await caller.send(ask("GET", READ))
        await held.begun.wait()
        caller.leave()
        await there.wires[0].ended.wait()
        line = await the_line(relay)
        assert (line["outcome"], line["status"], line["attempts"]) == ("aborted", 0, 1)
        assert len(at_once.taken) == len(at_once.handed_over) == 1
        assert relay.sidecar.pool.stats().open == 0


async def test_a_payout_is_finished_and_its_outcome_told() -> None:
    held = Holding(HELLO.replace(b"200 OK", b"201 Created"))
    async with in_front_of(held) as (there, relay, at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        await held.begun.wait()
        caller.leave()
        await until(lambda: at_once.handed_over)
        assert relay.value("in_flight_requests") == 1
        held.go.set()
        line = await the_line(relay)
        assert (line["outcome"], line["status"], line["level"]) == ("orphaned", 201, "warning")
        assert there.calls.count(b"POST ") == 1
        assert relay.sidecar.pool.stats().idle == 1


@pytest.mark.parametrize(
    ("answer", "outcome", "status", "code"),
    [
        (b"garbage\r\n\r\n", "unknown", 0, "upstream_malformed"),
        (HELLO[:-1], "orphaned", 200, None),
        (DECLINED, "orphaned", 401, None),
    ],
)
async def test_a_payout_for_nobody_that_goes_wrong_is_not_sent_again(
    answer: bytes, outcome: str, status: int, code: str | None
) -> None:
    held = Holding(answer)
    async with in_front_of(held) as (there, relay, at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        await held.begun.wait()
        caller.leave()
        await until(lambda: at_once.handed_over)
        held.go.set()
        await settle()
        there.wires[0].cut()
        line = await the_line(relay)
        assert (line["outcome"], line["status"], line["code"]) == (outcome, status, code)
        assert there.calls.count(b"POST ") == 1


async def test_an_answer_that_comes_while_the_callers_connection_is_closing_is_an_orphans() -> None:
    held = Holding()
    async with in_front_of(held) as (_, relay, at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        await held.begun.wait()
        (call,) = at_once.taken
        exchange, transport = call.exchange, call.connection.transport
        assert exchange is not None
        changed = exchange.watcher
        assert changed is not None
        assert transport is not None

        def closes_first() -> None:
            transport.abort()
            changed()

        exchange.watcher = closes_first
        held.go.set()
        line = await the_line(relay)
        assert (line["outcome"], line["status"]) == ("orphaned", 200)


async def test_a_caller_that_leaves_with_requests_behind_gets_none_of_them_carried() -> None:
    held = Holding()
    async with in_front_of(held) as (there, relay, _at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        await held.begun.wait()
        await caller.send(ask("POST", PAY, body=ORDER))
        await settle()
        caller.leave()
        await settle()
        held.go.set()
        assert (await the_line(relay))["outcome"] == "orphaned"
        assert there.calls.count(b"POST ") == 1


async def test_an_answer_and_the_callers_end_in_one_turn_leave_one_line() -> None:
    async with in_front_of(greeting) as (there, relay, at_once, _caller):
        for turns in range(12):
            async with calling(relay) as caller:
                caller.writer.write(ask("POST", PAY, body=ORDER))
                for _ in range(turns):
                    await asyncio.sleep(0)
                caller.leave()
            await until(lambda: at_rest(relay) and not listener_busy(relay))
        await settle()
        told = [line["outcome"] for line in relay.calls]
        assert there.calls.count(b"POST ") == len(told) - told.count("not_sent")
        assert set(told) <= {"not_sent", "orphaned", "answered"}
        assert at_once.taken
        assert relay.lines("library.logged") == []


def listener_busy(relay: Running) -> bool:
    return len(listener_of(relay).connections) > 1
