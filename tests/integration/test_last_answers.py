"""The last answer on a connection arrives whole, however many get theirs at once and whatever they still send."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from proxy.relay.server.lingering import MOST_LINGERING
from tests.support.origins import HELLO, Answered, Caller, calling, localpayment, request, said, until
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from tests.support.origins import Localpayment
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

pytestmark = pytest.mark.both_loops
BANKS = "/api/resources/banks"
PAYOUT = request("POST", "/api/payout", body=b"x" * 100_000)
NOT_SENT = (503, "overloaded", "not_sent")


def told(answer: Answered) -> tuple[int, object, object]:
    """What a whole answer says."""
    assert not answer.reset
    assert answer.complete
    return answer.status, answer.problem["code"], answer.problem["outcome"]


async def never(wire: Wire) -> None:
    await wire.request()
    await asyncio.Event().wait()


async def full(relay: Running, there: Localpayment, stack: contextlib.AsyncExitStack) -> Caller:
    """Take the only connection by a call that is under way."""
    caller = await stack.enter_async_context(calling(relay))
    await caller.send(request("POST", "/api/payin", body=b"{}"))
    await until(lambda: there.calls.endswith(b"{}"))
    return caller


async def test_a_caller_reads_why_it_is_refused_behind_many_that_are_and_do_not_listen() -> None:
    async with localpayment(never) as there, contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings_for(there.url, max_connections=1)))
        await full(relay, there, stack)
        deaf = [await stack.enter_async_context(calling(relay)) for _ in range(MOST_LINGERING + 20)]
        await asyncio.gather(*(caller.send(PAYOUT) for caller in deaf))
        async with calling(relay) as modest:
            await until(lambda: relay.value("refusals_total", code="overloaded") == len(deaf) + 1)
            await modest.send(PAYOUT[:50_000])
            await modest.send(PAYOUT[50_000:])
            assert told(await modest.rest()) == NOT_SENT
        assert {told(await caller.rest()) for caller in deaf} == {NOT_SENT}
        assert b"/api/payout" not in there.calls


@pytest.mark.parametrize(
    ("changes", "code"),
    [({}, "overloaded"), ({"header_timeout": 0.1}, "slow_request")],
    ids=["for the place of another", "for its slowness"],
)
async def test_a_caller_that_is_refused_amid_its_head_reads_why(changes: dict[str, Any], code: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO)

    async with localpayment(script) as there:
        async with sidecar(settings_for(there.url, max_connections=1, **changes)) as relay, calling(relay) as slow:
            await slow.send(PAYOUT[:30])
            await until(lambda: relay.sidecar.memory.used)
            if not changes:
                assert (await said(relay, request("GET", BANKS))).status == 200
            await until(lambda: relay.value("refusals_total", code=code))
            await slow.send(PAYOUT[30:50_000])
            await slow.send(PAYOUT[50_000:])
            assert told(await slow.rest())[1] == code
        assert b"/api/payout" not in there.calls
