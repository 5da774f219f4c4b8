"""An answer that was cut never looks complete, and one that is wrong from the start is never handed out."""

from __future__ import annotations

import asyncio

import pytest

from proxy.upstream.model import FaultKind, Progress
from tests.support.scripted_origin import HELLO, Wire, break_off, origin, server_tls
from tests.support.upstream_pool import ENDS, PAY, QUICK, call, fault_of, paying, pool_to, warmed

IN_THE_BODY = {"length": HELLO[:-2], "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"}


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("body", ["none", "held", "sized", "chunked"])
@pytest.mark.parametrize("how", ["cut", "reset", "stall"])
@pytest.mark.parametrize("where", IN_THE_BODY)
async def test_an_answer_that_is_cut_gives_what_came_and_then_the_fault(
    *, tls: bool, reused: bool, body: str, how: str, where: str
) -> None:
    handed_out = asyncio.Event()

    async def script(wire: Wire) -> None:
        if reused:
            await wire.request()
            await wire.send(HELLO)
        await wire.request()
        await wire.send(IN_THE_BODY[where])
        await handed_out.wait()
        await break_off(wire, how)

    async with (
        origin(script, tls=server_tls() if tls else None) as served,
        pool_to(served.at, limits=QUICK if how == "stall" else None) as pool,
    ):
        await warmed(pool, reused=reused)
        answer = await pool.send(paying(body))
        assert await answer.read() == b"hel"
        handed_out.set()
        for _ in range(2):
            fault = await fault_of(answer.read())
            assert (fault.kind, fault.progress, fault.reused) == (ENDS[how], Progress.ALL, reused)
            assert fault.answer_begun
        assert b"".join(served.requests).count(PAY) == 1
        assert pool.stats().idle == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ],
)
async def test_an_answer_that_is_wrong_before_it_is_handed_out_is_never_handed_out(answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(answer)
        await wire.until_end()

    async with origin(script) as served, pool_to(served.at) as pool:
        fault = await fault_of(pool.send(call()))
        assert (fault.kind, fault.progress, fault.answer_begun) == (FaultKind.MALFORMED, Progress.ALL, False)
        assert str(fault) == fault.detail
        assert "hello" not in fault.detail
        await served.wires[0].ended.wait()


async def test_a_chunked_body_that_goes_wrong_after_the_head_was_handed_out_is_cut() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await handed_out.wait()
        await wire.send(b"-1\r\n")
        await wire.until_end()

    handed_out = asyncio.Event()
    async with origin(script) as served, pool_to(served.at) as pool:
        answer = await pool.send(call())
        assert await answer.read() == b"hello"
        handed_out.set()
        fault = await fault_of(answer.read())
        assert (fault.kind, fault.answer_begun) == (FaultKind.MALFORMED, True)


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", ["said", "cut", "reset"])
async def test_only_a_clean_end_completes_an_answer_that_ends_with_its_connection(*, tls: bool, how: str) -> None:
    handed_out = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await handed_out.wait()
        match how:
            case "said":
                wire.writer.close()
                await wire.writer.wait_closed()
            case "cut":
                wire.cut()
            case _:
                wire.reset()

    async with origin(script, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
        answer = await pool.send(call())
        assert (answer.length, answer.has_body) == (None, True)
        assert await answer.read() == b"hel"
        handed_out.set()
        if how == "said" or (how == "cut" and not tls):
            assert await answer.read() == b""
            assert answer.timings.total_seconds is not None
        else:
            fault = await fault_of(answer.read())
            assert (fault.kind, fault.answer_begun) == (FaultKind.DISCONNECTED, True)
        assert pool.stats().idle == 0
