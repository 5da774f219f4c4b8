"""What the status reads by which the ledger settles calls do with an origin that never ends, or lets nobody in."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from proxy.ledger.settler import Reading
from proxy.relay.status_reads import UpstreamStatusReads
from tests.support.origins import localpayment, until
from tests.support.refused_tokens import declined
from tests.support.sidecars import BOUND, Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.scripted_origin import Wire

PATH = "/api/transactions/order-1/status"
pytestmark = pytest.mark.both_loops


def reads(relay: Running, longest: float = BOUND) -> UpstreamStatusReads:
    there = relay.sidecar
    return UpstreamStatusReads(there.pool, there.keeper, there.concurrency, longest=longest)


def answering(*answers: bytes) -> Callable[[Wire], Awaitable[None]]:
    """An origin that gives these answers in turn, on whatever connection, the last one again and again."""
    given = itertools.chain(answers, itertools.repeat(answers[-1]))

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(next(given))

    return script


async def test_an_answer_that_never_ends_holds_up_no_other_ask() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        await wire.until_end()

    async with localpayment(script) as there, sidecar(settings_for(there.url, idle_timeout=BOUND)) as relay:
        assert await reads(relay, longest=0.1)(PATH) == Reading(0, b"")
        await until(lambda: relay.sidecar.pool.stats().open == 0)


async def test_a_read_that_lets_no_token_in_is_an_ask_that_told_nothing() -> None:
    found = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    refused = declined()
    origin = localpayment(answering(refused, refused, found, refused))
    async with origin as there, sidecar(settings_for(there.url)) as relay:
        read, keeper = reads(relay), relay.sidecar.keeper
        first = await keeper.obtain()
        assert await read(PATH) is None
        await until(lambda: (now := keeper.current()) is not None and now.generation > first.generation)
        second = await read(PATH)
        assert second is not None
        assert second.status == 401
        assert await read(PATH) == Reading(200, b"{}")
        assert await read(PATH) is None, "a read let this token in, so that it may be the token"


async def test_an_answer_tells_what_time_it_is_there() -> None:
    dated = b"HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n"
    async with localpayment(answering(dated)) as there, sidecar(settings_for(there.url)) as relay:
        assert await reads(relay)(PATH) == Reading(404, b"", date=784_111_777.0)
