"""Request bodies: exact, bounded in memory, and stopped when there is no more use for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import pytest

from proxy.upstream.model import BodyLengthError, Stream
from tests.support.scripted_origin import Wire, answering, origin, server_tls
from tests.support.upstream_pool import call, get, pool_to, seen, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\n"
EARLY = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
MIB = 1024 * 1024
PLAIN_AND_TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


async def each(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def body_of(request: bytes) -> bytes:
    return request.split(b"\r\n\r\n", 1)[1]


async def test_a_chunked_body_arrives_exactly_and_empty_chunks_end_nothing() -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        assert await get(pool, call(b"POST", Stream(None, each(b"", b"ab", b"", b"c")))) == b"hello"
        assert pool.stats().idle == 1
    assert b"Transfer-Encoding: chunked\r\n" in served.requests[0]
    assert body_of(served.requests[0]) == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


async def test_a_chunked_body_may_be_empty() -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        await get(pool, call(b"POST", Stream(None, each())))
    assert body_of(served.requests[0]) == b"0\r\n\r\n"


async def test_a_sized_body_arrives_exactly_and_is_asked_for_no_more_than_it_declared() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"
        message = "asked for more than was declared"
        raise AssertionError(message)

    async with origin(answering) as served, pool_to(served.at) as pool:
        await get(pool, call(b"POST", Stream(4, endless())))
        await get(pool, call(b"POST", Stream(0, endless())))
        assert len(served.wires) == 1
    assert served.requests[0].count(b"abcd") == 1
    assert served.requests[0].endswith(b"Content-Length: 0\r\n\r\n")


class CallerGoneError(Exception):
    pass


async def test_a_body_that_fails_before_its_first_chunk_costs_no_connection() -> None:
    class Failing:
        def __aiter__(self) -> Self:
            return self

        async def __anext__(self) -> bytes:
            raise CallerGoneError

    async with origin(answering) as served, pool_to(served.at) as pool:
        with pytest.raises(CallerGoneError):
            await pool.send(call(b"POST", Stream(None, Failing())))
        assert served.wires == []


@pytest.mark.parametrize(("length", "sent"), [(10, b"ab"), (None, b"2\r\nab\r\n")])
async def test_a_body_that_fails_midway_aborts_the_connection_and_its_exception_passes(
    length: int | None, sent: bytes
) -> None:
    gone = CallerGoneError("mine")

    async def failing() -> AsyncIterator[bytes]:
        yield b"ab"
        raise gone

    async with origin(answering) as served, pool_to(served.at) as pool:
        with pytest.raises(CallerGoneError) as raised:
            await pool.send(call(b"POST", Stream(length, failing())))
        assert raised.value is gone
        await served.wires[0].ended.wait()
    assert body_of(served.requests[0]) == sent


@pytest.mark.parametrize(("length", "sent"), [(3, b"ab"), (5, b"abcd")])
async def test_a_body_of_another_length_than_declared_aborts_the_connection(length: int, sent: bytes) -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        with pytest.raises(BodyLengthError):
            await pool.send(call(b"POST", Stream(length, each(b"ab", b"cd"))))
        await served.wires[0].ended.wait()
        assert body_of(served.requests[0]) == sent


@PLAIN_AND_TLS
async def test_an_early_answer_stops_the_body_and_is_given_but_its_connection_is_not_used_again(*, tls: bool) -> None:
    stopped = asyncio.Event()

    async def unending() -> AsyncIterator[bytes]:
        try:
            yield b"ab"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(EARLY)
        await wire.until_end()

    async with origin(script, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
        answer = await pool.send(call(b"POST", Stream(None, unending())))
        assert stopped.is_set()
        assert (answer.status, await whole(answer)) == (401, b"no")
        await served.wires[0].ended.wait()
        assert pool.stats().idle == 0
    assert not served.requests[0].endswith(b"0\r\n\r\n")


@PLAIN_AND_TLS
async def test_an_early_answer_comes_through_while_the_origin_takes_no_byte(*, tls: bool) -> None:
    asked = 0

    async def huge() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield bytes(MIB)

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as write-only
        await seen(lambda: asked >= 2)
        await wire.send(EARLY)
        await asyncio.Event().wait()

    async with origin(script, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
        answer = await pool.send(call(b"POST", Stream(None, huge())))
        assert (answer.status, await whole(answer)) == (401, b"no")
        assert asked < 32
        assert pool.stats().idle == 0


@PLAIN_AND_TLS
async def test_an_origin_that_takes_no_byte_stops_the_body_within_bounded_memory(*, tls: bool) -> None:
    asked = 0

    async def huge() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield bytes(MIB)

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as write-only
        await asyncio.Event().wait()

    async with origin(script, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
        sending = asyncio.create_task(pool.send(call(b"POST", Stream(None, huge()))))
        await seen(lambda: asked > 1)
        last, quiet_turns = -1, 0
        while quiet_turns < 200:  # turns of the loop in which no chunk was asked for
            quiet_turns = quiet_turns + 1 if asked == last else 0
            last = asked
            await asyncio.sleep(0)
        assert asked < 32  # MiB: what the kernels' buffers and one chunk in each layer hold
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()


async def test_a_call_that_would_not_be_one_request_is_refused_without_a_connection() -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        with pytest.raises(ValueError, match="origin-form"):
            await pool.send(call(target=b"/x HTTP/1.1\r\nEvil: 1"))
        assert served.wires == []
