"""The end of the sidecar while a call is under way: it may end by itself for a while, then it is unknown."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.support.fakes import settle
from tests.support.origins import calling, greeting, localpayment, until
from tests.support.scripted_origin import SCRIPT
from tests.support.sent_at_once import (
    LAST,
    ORDER,
    PAY,
    READ,
    Holding,
    ask,
    at_rest,
    in_front_of,
    listener_of,
    warm_sidecar,
)
from tests.support.sidecars import BOUND, settings_for

PAYOUT = ask("POST", PAY, body=ORDER)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_call_without_an_answer_is_unknown_its_caller_is_told_and_nothing_is_left() -> None:
    held = Holding()
    async with localpayment(held) as there:
        tasks, open_before = asyncio.all_tasks(), descriptors()
        async with contextlib.AsyncExitStack() as after:
            async with warm_sidecar(settings_for(there.url)) as (relay, at_once):
                caller = await after.enter_async_context(calling(relay))
                await caller.send(PAYOUT)
                await held.begun.wait()
                assert len(at_once.taken) == 1
            problem = (await caller.rest()).problem
            assert (problem["status"], problem["outcome"]) == (502, "unknown")
            (line,) = relay.calls
            assert (line["outcome"], line["status"], line["attempts"]) == ("unknown", 502, 1)
            assert at_rest(relay)
        await there.wires[0].ended.wait()
        await settle()
        left = [task for task in asyncio.all_tasks() - tasks if task.get_name() != SCRIPT]
        assert left == []
        assert descriptors() == open_before
        assert there.calls.count(b"POST ") == 1


async def test_the_listeners_end_gives_it_time() -> None:
    held = Holding()
    async with in_front_of(held) as (_, relay, at_once, caller):
        await caller.send(PAYOUT)
        await held.begun.wait()
        listener_of(relay).pre_shutdown()
        ending = asyncio.create_task(listener_of(relay).shutdown(BOUND))
        await until(lambda: at_once.handed_over)
        held.go.set()
        assert (await caller.one()).status == 200
        await ending
        assert [line["outcome"] for line in relay.calls] == ["answered"]
        assert at_rest(relay)


@pytest.mark.parametrize(("sent", "outcome"), [(PAYOUT, "unknown"), (ask("GET", READ), "unknown")])
async def test_when_its_time_is_up_it_is_cut_and_its_callers_connection_with_it(sent: bytes, outcome: str) -> None:
    held = Holding()
    async with in_front_of(held) as (there, relay, _at_once, caller):
        await caller.send(sent)
        await held.begun.wait()
        listener_of(relay).pre_shutdown()
        await listener_of(relay).shutdown(0.05)
        assert (await caller.rest()).raw == b""
        (line,) = relay.calls
        assert (line["outcome"], line["status"]) == (outcome, 0)
        await there.wires[0].ended.wait()
        assert at_rest(relay)


async def test_a_drain_lets_it_finish_and_ends_its_callers_connection() -> None:
    held = Holding()
    async with in_front_of(held) as (_, relay, at_once, caller):
        await caller.send(PAYOUT)
        await held.begun.wait()
        draining = asyncio.create_task(relay.sidecar.drain())
        await until(lambda: relay.sidecar.health.draining)
        await settle()
        assert not draining.done()
        held.go.set()
        assert (await caller.one()).status == 200
        assert (await caller.rest()).raw == b""
        caller.writer.close()
        assert await draining
        assert at_once.handed_over == []
        assert [line["outcome"] for line in relay.calls] == ["answered"]


async def test_what_came_behind_it_is_not_carried_once_it_drains() -> None:
    held = Holding()
    async with in_front_of(held) as (there, relay, _at_once, caller):
        await caller.send(PAYOUT)
        await held.begun.wait()
        await caller.send(PAYOUT)
        await settle()
        draining = asyncio.create_task(relay.sidecar.drain())
        await until(lambda: relay.sidecar.relay.shedding)
        await settle()
        held.go.set()
        assert (await caller.rest()).raw.count(b"HTTP/1.1 200 OK") <= 1  # a reset may overtake it
        caller.writer.close()
        assert await draining
        assert there.calls.count(b"POST ") == 1


async def test_a_connection_that_was_never_waited_on_ends_at_once_when_the_sidecar_drains() -> None:
    async with in_front_of(greeting) as (_, relay, at_once, caller):
        await caller.send(PAYOUT)
        assert (await caller.one()).status == 200
        assert len(at_once.taken) == 1
        assert await relay.sidecar.drain()
        assert (await caller.rest()).raw == b""


async def test_while_it_sheds_each_answer_ends_its_connection() -> None:
    async with in_front_of(greeting) as (_, relay, at_once, caller):
        relay.sidecar.relay.shedding = True
        await caller.send(ask("GET", READ))
        answer = await caller.rest()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert (len(at_once.taken), at_once.refused) == (1, 0)


async def test_a_call_that_was_sent_before_it_sheds_ends_its_connection_when_it_is_handed_over() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    held = Holding(chunked)
    async with in_front_of(held) as (_, relay, at_once, caller):
        await caller.send(PAYOUT)
        await held.begun.wait()
        relay.sidecar.relay.shedding = True
        held.go.set()
        answer = await caller.rest()
        assert answer.headers["connection"] == "close"
        assert len(at_once.handed_over) == 1


async def test_after_the_drain_nothing_is_let_in() -> None:
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        relay.sidecar.concurrency.close()
        await caller.send(LAST)
        assert (await caller.rest()).problem["code"] == "draining"
        assert (at_once.taken, there.calls) == ([], b"")
        assert at_rest(relay)
        assert relay.sidecar.pool.stats().idle == 1
