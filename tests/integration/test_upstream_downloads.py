"""Answers: raw heads, whole bodies, and no more memory than agreed while the reader is slow."""

from __future__ import annotations

import asyncio

import pytest

from proxy.upstream.model import Limits
from tests.support.scripted_origin import HELLO, Wire, answering, origin, server_tls
from tests.support.upstream_pool import call, get, pool_to, whole

OK = b"HTTP/1.1 200 OK\r\n"
MIB = 1024 * 1024
PLAIN_AND_TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@PLAIN_AND_TLS
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
async def test_a_slow_reader_stops_the_origin_and_still_gets_every_byte(*, tls: bool, framing: str) -> None:
    written = 0
    total = 32

    async def script(wire: Wire) -> None:
        nonlocal written
        await wire.request()
        fields = {
            "length": b"Content-Length: %d\r\n" % (total * MIB),
            "chunks": b"Transfer-Encoding: chunked\r\n",
            "close": b"",
        }
        await wire.send(OK + fields[framing] + b"\r\n")
        for number in range(total):
            piece = bytes([number]) * MIB
            await wire.send(b"%x\r\n%b\r\n" % (MIB, piece) if framing == "chunks" else piece)
            written += 1
        await wire.send(b"0\r\n\r\n" if framing == "chunks" else b"")
        wire.writer.close()
        await wire.writer.wait_closed()

    limits = Limits(response_timeout=0.1, idle_timeout=0.1)
    async with origin(script, tls=server_tls() if tls else None) as served, pool_to(served.at, limits=limits) as pool:
        async with await pool.send(call()) as answer:
            await asyncio.sleep(0.15)  # longer than both time-outs, which must not run while we are the slow ones
            assert written < total // 2
            held = sum(map(len, answer._exchange.pieces))  # noqa: SLF001 - the memory that is held shows nowhere else
            assert held <= limits.buffer + 2 * MIB
            got = b"".join([piece async for piece in answer])
        assert got == b"".join(bytes([number]) * MIB for number in range(total))


@pytest.mark.parametrize(
    ("method", "answer", "length"),
    [
        (b"HEAD", OK + b"Content-Length: 5\r\n\r\n", 5),
        (b"HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 5),
        (b"GET", OK + b"Content-Length: 0\r\n\r\n", 0),
    ],
)
async def test_an_answer_without_a_body_is_complete_at_once_and_its_connection_free(
    method: bytes, answer: bytes, length: int | None
) -> None:
    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer)

    async with origin(script) as served, pool_to(served.at) as pool:
        for _ in range(2):
            given = await pool.send(call(method))
            assert (given.has_body, given.length) == (False, length)
            assert pool.stats().idle == 1
            assert await whole(given) == b""
        assert len(served.wires) == 1


async def test_trailers_are_there_after_the_body() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        await begun.wait()
        await wire.send(b"0\r\nSum: 1\r\n\r\n")
        await wire.until_end()

    begun = asyncio.Event()
    async with origin(script) as served, pool_to(served.at) as pool, await pool.send(call()) as answer:
        assert await answer.read() == b"hi"
        assert answer.trailers == []
        begun.set()
        assert await answer.read() == b""
        assert answer.trailers == [(b"Sum", b"1")]
        assert pool.stats().idle == 1


async def test_head_fields_come_raw_and_in_order() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made \xe9\r\n")
        await wire.send(b"b: 2\r\nA: 1\r\nB: \xff\r\nContent-Length: 0\r\n\r\n")
        await wire.until_end()

    async with origin(script) as served, pool_to(served.at) as pool, await pool.send(call()) as answer:
        assert (answer.status, answer.reason) == (201, b"Made \xe9")
        assert answer.headers == [(b"b", b"2"), (b"A", b"1"), (b"B", b"\xff"), (b"Content-Length", b"0")]


async def test_a_reader_that_gives_up_waiting_may_still_read_on() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + b"Content-Length: 2\r\n\r\n")
        await given_up.wait()
        await wire.send(b"hi")
        await wire.until_end()

    given_up = asyncio.Event()
    async with origin(script) as served, pool_to(served.at) as pool, await pool.send(call()) as answer:
        reading = asyncio.create_task(answer.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        given_up.set()
        assert await whole(answer) == b"hi"


async def test_a_large_answer_read_at_leisure_leaves_its_connection_usable() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + b"Content-Length: %d\r\n\r\n" % (4 * MIB), bytes(4 * MIB))
        await answering(wire)

    async with origin(script) as served, pool_to(served.at) as pool:
        assert len(await get(pool)) == 4 * MIB
        assert await get(pool) == b"hello"
        assert len(served.wires) == 1
        assert HELLO not in served.requests
