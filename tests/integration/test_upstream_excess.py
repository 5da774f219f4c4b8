"""An answer ends where RFC 9112 section 6.3 says; what comes behind it spoils the connection and not the answer."""

from __future__ import annotations

import asyncio

import pytest

from proxy.upstream.model import FaultKind, Progress
from tests.support.scripted_origin import HELLO, Wire, answering, origin, server_tls
from tests.support.upstream_pool import call, fault_of, get, pool_to, whole

LAST_CHUNK = b"0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n" + LAST_CHUNK
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"
# What gunicorn sends for Django REST framework's `Response(data, status=204)`.
NO_CONTENT = (
    b"HTTP/1.1 204 No Content\r\nServer: gunicorn\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
)
BODY = b'{"status":"removed"}'

EXCESS = {
    "a 204 with the body that it declares": (b"DELETE", NO_CONTENT, BODY, 204, b""),
    "a 204 with a body that it does not declare": (b"DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", BODY, 204, b""),
    "a 204 with a last chunk": (
        b"DELETE", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", LAST_CHUNK, 204, b"",
    ),
    "an answer to HEAD with the body": (b"HEAD", OK, BODY, 200, b""),
    "a 304 with the body": (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 20\r\n\r\n", BODY, 304, b""),
    "a line end behind a length": (b"POST", b"HTTP/1.1 201 Yes\r\nContent-Length: 2\r\n\r\nok", b"\r\n", 201, b"ok"),
    "a line end behind the chunks": (b"GET", CHUNKED, b"\r\n", 200, b"hi"),
    "a whole answer behind the chunks": (b"GET", CHUNKED, HELLO, 200, b"hi"),
    "a chunked answer behind the chunks": (b"GET", CHUNKED, CHUNKED, 200, b"hi"),
    "a whole answer behind a length": (b"GET", HELLO, HELLO, 200, b"hello"),
    "an answer behind an empty one": (b"POST", b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", HELLO, 201, b""),
    "much of no meaning": (b"GET", CHUNKED, b"\r\n\r\nx" * 8000, 200, b"hi"),
}  # fmt: skip


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("at_once", [True, False], ids=["in one segment", "in two"])
@pytest.mark.parametrize("which", EXCESS)
async def test_what_comes_behind_an_answer_spoils_the_connection_and_not_the_answer(
    *, tls: bool, at_once: bool, which: str
) -> None:
    method, answer, more, status, body = EXCESS[which]

    head_read = asyncio.Event()

    async def script(wire: Wire) -> None:
        if len(served.wires) > 1:
            await answering(wire)
        await wire.request()
        if at_once:
            await wire.send(answer + more)
        else:
            await wire.send(answer)
            await head_read.wait()
            await wire.send(more)
        await wire.until_end()

    async with origin(script, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
        given = await pool.send(call(method, effects=True))
        assert given.status == status
        assert await whole(given) == body
        head_read.set()
        await served.wires[0].ended.wait()
        assert await get(pool) == b"hello"
        assert [request.count(b"HTTP/1.1") for request in served.requests] == [1, 1]


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("first", [HELLO, CHUNKED], ids=["length", "chunks"])
async def test_two_answers_at_once_are_none_on_a_connection_that_carried_other_calls(
    *, tls: bool, first: bytes
) -> None:
    """The first may be another call's, which came twice and late."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO)
        await wire.request()
        await wire.send(first + HELLO)
        await wire.until_end()

    async with origin(script, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
        assert await get(pool) == b"hello"
        fault = await fault_of(get(pool, call(b"POST", effects=True)))
        assert (fault.kind, fault.progress, fault.reused) == (FaultKind.MALFORMED, Progress.ALL, True)
        await served.wires[0].ended.wait()


@pytest.mark.parametrize("at", range(len(CHUNKED) - 4, len(CHUNKED) + 1))
async def test_an_answer_that_was_begun_is_given_without_the_bytes_of_the_one_behind_it(at: int) -> None:
    async def script(wire: Wire) -> None:
        if len(served.wires) > 1:
            await answering(wire)
        await wire.request()
        await wire.send(CHUNKED[:at])
        await begun.wait()
        await wire.send(CHUNKED[at:] + HELLO)
        await wire.until_end()

    begun = asyncio.Event()
    async with origin(script) as served, pool_to(served.at) as pool:
        answer = await pool.send(call())
        begun.set()
        assert await whole(answer) == b"hi"
        assert answer.trailers == []
        await served.wires[0].ended.wait()
        assert await get(pool) == b"hello"
