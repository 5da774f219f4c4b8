"""The fault-point matrix: wherever a call breaks off, the fault says how far it got, and it was sent once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.upstream.model import FaultKind, Limits, Progress, Stream, UpstreamFault
from tests.support.scripted_origin import HELLO, Wire, answering, break_off, origin, server_tls
from tests.support.upstream_pool import ENDS, PAY, QUICK, call, fault_of, get, paying, pool_to, two, warmed, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


HUGE = 16 * 1024 * 1024  # bytes; more than both kernels' buffers on loopback

BEFORE_THE_ANSWER = {"after the request": b"", "in the status line": b"HTTP/1.1 2", "in the headers": HELLO[:30]}


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("body", ["none", "held", "sized", "chunked"])
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("where", BEFORE_THE_ANSWER)
async def test_a_call_without_an_answer_was_sent_once_and_is_known_to_have_been_sent(
    *, tls: bool, reused: bool, body: str, how: str, where: str
) -> None:
    async def script(wire: Wire) -> None:
        if reused:
            await wire.request()
            await wire.send(HELLO)
        await wire.request()
        await wire.send(BEFORE_THE_ANSWER[where])
        await break_off(wire, how)

    async with (
        origin(script, tls=server_tls() if tls else None) as served,
        pool_to(served.at, limits=QUICK if how == "stall" else None) as pool,
    ):
        await warmed(pool, reused=reused)
        fault = await fault_of(pool.send(paying(body)))
        assert (fault.kind, fault.progress, fault.reused) == (ENDS[how], Progress.ALL, reused)
        assert not fault.answer_begun
        assert fault.timings.total_seconds is not None
        assert b"".join(served.requests).count(PAY) == 1
        assert pool.stats().idle == 0


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("length", [4, None], ids=["sized", "chunked"])
@pytest.mark.parametrize("how", ["cut", "reset", "garbage"])
async def test_a_call_that_breaks_off_in_a_streamed_body_was_sent_in_part(
    *, tls: bool, reused: bool, length: int | None, how: str
) -> None:
    cancelled = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal cancelled
        yield b"ab"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def script(wire: Wire) -> None:
        if reused:
            await wire.request()
            await wire.send(HELLO)
        await wire.head()
        await break_off(wire, how)

    async with (
        origin(script, tls=server_tls() if tls else None) as served,
        pool_to(served.at) as pool,
    ):
        await warmed(pool, reused=reused)
        fault = await fault_of(pool.send(call(b"POST", Stream(length, body()), effects=True, target=PAY)))
        assert (fault.kind, fault.progress, fault.reused) == (ENDS[how], Progress.SOME, reused)
        assert cancelled
        assert b"".join(served.requests).count(PAY) == 1


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("streamed", [False, True], ids=["held", "streamed"])
@pytest.mark.parametrize("how", ["cut", "reset", "stall"])
async def test_an_origin_that_takes_only_part_of_a_body_leaves_the_call_sent_in_part(
    *, tls: bool, streamed: bool, how: str
) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as write-only
        if how == "stall":
            await asyncio.Event().wait()
        wire.reset() if how == "reset" else wire.cut()

    body = Stream(HUGE, two((bytes(HUGE // 2), bytes(HUGE // 2)))) if streamed else bytes(HUGE)
    async with (
        origin(script, tls=server_tls() if tls else None) as served,
        pool_to(served.at, limits=QUICK if how == "stall" else None) as pool,
    ):
        fault = await fault_of(pool.send(call(b"POST", body, effects=True, target=PAY)))
        assert (fault.kind, fault.progress) == (ENDS[how], Progress.SOME)
        assert b"".join(served.requests).count(PAY) == 1


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_slow_origin_that_keeps_taking_bytes_is_not_too_slow(*, tls: bool) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        for number in range(16):
            if number < 5:  # what comes last is in both kernels, and sent, before it is read here
                await asyncio.sleep(0.08)  # the pool's timer is what is tested: in all far longer than idle_timeout
            await wire.read(HUGE // 16)
        await wire.send(HELLO)
        await answering(wire)

    limits = Limits(response_timeout=0.2, idle_timeout=0.2)
    async with origin(script, tls=server_tls() if tls else None) as served, pool_to(served.at, limits=limits) as pool:
        assert await get(pool, call(b"PUT", bytes(HUGE))) == b"hello"


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("sent", [b"", HELLO[:-1]], ids=["no answer", "part of one"])
async def test_each_wait_has_its_own_limit(*, tls: bool, sent: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(sent)
        await wire.until_end()

    limits = Limits(idle_timeout=0.03) if sent else Limits(response_timeout=0.03)
    tls_context = server_tls() if tls else None
    async with origin(script, tls=tls_context) as served, pool_to(served.at, limits=limits) as pool:
        fault = await fault_of(get(pool, paying("held")))
        assert (fault.kind, fault.progress) == (FaultKind.TIMEOUT, Progress.ALL)


async def test_the_time_for_an_answer_counts_from_the_last_byte_of_the_request() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"ab"
        await asyncio.sleep(0.3)  # longer than both time-outs, which are what is tested
        yield b"cd"

    async with origin(answering) as served, pool_to(served.at, limits=QUICK) as pool:
        assert await get(pool, call(b"PUT", Stream(4, slow()))) == b"hello"


async def test_interim_answers_do_not_buy_time() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await wire.until_end()

    async with origin(script) as served, pool_to(served.at, limits=QUICK) as pool:
        fault = await fault_of(pool.send(call()))
        assert (fault.kind, fault.progress) == (FaultKind.TIMEOUT, Progress.ALL)
        assert fault.timings.first_byte_seconds is not None


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
async def test_a_fault_is_the_end_and_the_next_call_starts_anew(*, reused: bool) -> None:
    async def script(wire: Wire) -> None:
        if len(served.wires) > 1:
            await answering(wire)
        if reused:
            await wire.request()
            await wire.send(HELLO)
        await wire.request()
        wire.cut()

    async with origin(script) as served, pool_to(served.at) as pool:
        await warmed(pool, reused=reused)
        with pytest.raises(UpstreamFault):
            await pool.send(paying("held"))
        answer = await pool.send(paying("held"))
        assert not answer.timings.reused
        assert await whole(answer) == b"hello"
        assert [request.count(PAY) for request in served.requests] == [1, 1]
