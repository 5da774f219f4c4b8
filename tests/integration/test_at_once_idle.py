"""A caller's connection whose calls all were sent at once keeps the limits of any other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.origins import greeting
from tests.support.sent_at_once import HELLO, READ, Holding, ask, in_front_of, listener_of

if TYPE_CHECKING:
    from tests.support.scripted_origin import Wire


async def test_it_is_closed_once_it_was_idle_for_long_enough() -> None:
    async with in_front_of(greeting) as (_, relay, at_once, caller):
        listener_of(relay).caller_idle = 0.1
        for _ in range(2):
            await caller.send(ask("GET", READ))
            assert (await caller.one()).status == 200
        assert (len(at_once.taken), at_once.handed_over) == (2, [])
        assert (await caller.rest()).raw == b""
        assert len(relay.calls) == 2


async def test_it_is_closed_before_its_first_call_too() -> None:
    async with in_front_of(greeting) as (_, relay, _at_once, caller):
        await caller.send(ask("GET", READ))  # so that it was accepted
        await caller.one()
        listener_of(relay).caller_idle = 0.05
        async with in_front_of(greeting) as (_, other, _at_once, idle):
            listener_of(other).caller_idle = 0.05
            await idle.send(ask("GET", READ))
            await idle.one()
            assert (await idle.rest()).raw == b""


async def test_a_call_that_takes_longer_is_not_idling() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO)
        await wire.request()
        begun.set()
        await go.wait()
        await wire.send(HELLO)
        await wire.until_end()

    async with in_front_of(script) as (_, relay, at_once, caller):
        listener_of(relay).caller_idle = 0.1
        for held in (False, True):
            await caller.send(ask("GET", READ))
            if held:
                await begun.wait()
                await asyncio.sleep(0.3)  # three times what it may be idle
                go.set()
            assert (await caller.one()).status == 200
        assert (len(at_once.taken), at_once.handed_over) == (2, [])
        line = relay.calls[-1]
        assert 200 < line["upstream_ms"] <= line["total_ms"]
        assert line["own_ms"] < 100
        assert (await caller.rest()).raw == b""


async def test_the_time_of_a_call_before_is_not_counted() -> None:
    async with in_front_of(greeting) as (_, relay, at_once, caller):
        listener_of(relay).caller_idle = 0.3
        for _ in range(5):
            await caller.send(ask("GET", READ))
            assert (await caller.one()).status == 200
            await asyncio.sleep(0.1)  # in all longer than it may be idle at once
        assert at_once.taken


async def test_a_head_that_is_slow_after_it_has_its_own_time() -> None:
    async with in_front_of(greeting, header_timeout=0.1) as (_, relay, at_once, caller):
        await caller.send(ask("GET", READ))
        assert (await caller.one()).status == 200
        await asyncio.sleep(0.2)  # longer than a head may take: idling is free
        await caller.send(ask("GET", READ)[:-2])
        answer = await caller.rest()
        assert (answer.status, answer.problem["code"], answer.problem["outcome"]) == (408, "slow_request", "rejected")
        assert (len(at_once.taken), len(relay.calls)) == (1, 2)


async def test_a_head_that_begins_behind_it_has_its_own_time_from_its_end_on() -> None:
    held = Holding()
    async with in_front_of(held, header_timeout=0.1) as (_, _relay, at_once, caller):
        await caller.send(ask("GET", READ))
        await held.begun.wait()
        await caller.send(ask("GET", READ)[:-2])
        await asyncio.sleep(0.2)  # longer than a head may take: nobody reads it yet
        held.go.set()
        assert (await caller.one()).status == 200
        assert (await caller.rest()).status == 408
        assert len(at_once.taken) == 1
