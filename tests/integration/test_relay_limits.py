"""As many calls at once as may be, and room for a payment when reads have taken all that they may."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.origins import HELLO, calling, greeting, localpayment, request, said, until
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from tests.support.origins import Answered
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

READ = request("GET", "/api/resources/banks")
PAYOUT = request("POST", "/api/payout", body=b"{}")


class Slow:
    """An origin that answers reads only when it is let go."""

    def __init__(self) -> None:
        self.waiting = 0
        self.go = asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        while True:
            head = await wire.request()
            if head.startswith(b"GET"):
                self.waiting += 1
                await self.go.wait()
            await wire.send(HELLO)


async def filled(
    relay: Running, slow: Slow, calls: contextlib.AsyncExitStack, number: int
) -> list[asyncio.Task[Answered]]:
    """Start so many slow reads, and wait until Localpayment has them all."""
    tasks = [asyncio.create_task(said(relay, READ)) for _ in range(number)]
    calls.callback(lambda: [task.cancel() for task in tasks])
    await until(lambda: slow.waiting == number)
    return tasks


async def test_reads_may_not_take_the_places_kept_for_payments() -> None:
    slow = Slow()
    async with (
        localpayment(slow) as there,
        sidecar(settings_for(there.url, max_in_flight=8)) as relay,
        contextlib.AsyncExitStack() as calls,
    ):
        reads = await filled(relay, slow, calls, 6)
        refused = await said(relay, READ)
        assert not any(read.done() for read in reads)
        assert (refused.status, refused.problem["code"], refused.problem["outcome"]) == (503, "overloaded", "not_sent")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await said(relay, PAYOUT)).status == 200
        slow.go.set()
        assert {answer.status for answer in await asyncio.gather(*reads)} == {200}
        assert (await said(relay, READ)).status == 200
        assert relay.value("refusals_total", code="overloaded") == 1
        assert there.calls.count(b"GET ") == 7


async def test_above_the_limit_everything_is_refused_at_once_and_nothing_of_it_sent() -> None:
    held = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await held.wait()
        await wire.send(HELLO)

    async with localpayment(script) as there, sidecar(settings_for(there.url, max_in_flight=2)) as relay:
        payouts = [asyncio.create_task(said(relay, PAYOUT)) for _ in range(2)]
        await until(lambda: there.calls.count(b"POST ") == 2)
        for sent in (READ, PAYOUT):
            refused = await said(relay, sent)
            assert (refused.status, refused.problem["code"], refused.problem["retryable"]) == (503, "overloaded", True)
        assert there.calls.count(b" HTTP/1.1\r\n") == 2
        held.set()
        assert {answer.status for answer in await asyncio.gather(*payouts)} == {200}
        assert relay.value("in_flight_requests") == 0


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_the_smallest_limits_still_let_everything_pass_one_by_one(limit: int) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, max_in_flight=limit)) as relay:
        for sent in (READ, PAYOUT, READ):
            assert (await said(relay, sent)).status == 200


async def test_a_thousand_idle_callers_cost_the_others_nothing() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        async with contextlib.AsyncExitStack() as idle:
            for _ in range(1000):
                await idle.enter_async_context(calling(relay))
            async with calling(relay) as caller:
                for _ in range(50):
                    await caller.send(READ.replace(b"Connection: close\r\n", b""))
                    assert (await caller.one()).status == 200
            assert relay.value("in_flight_requests") == 0
        assert len(there.wires) == 1
