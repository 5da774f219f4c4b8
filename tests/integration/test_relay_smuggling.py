"""What stands behind a request with two readings is never a request: not more arrive than a strict reader finds.

The reader here is written from RFC 9112 and shares nothing with the sidecar or its server.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.origins import calling, greeting, localpayment
from tests.support.sidecars import settings_for, sidecar
from tests.support.wire_requests import HOST, TE

if TYPE_CHECKING:
    from tests.support.origins import Answered, Caller

INSIDE = b"GET /api/inside HTTP/1.1\r\n" + HOST + b"\r\n"


def numbered(number: int, *lines: bytes, body: bytes = b"") -> bytes:
    return (
        b"POST /api/n-%d HTTP/1.1\r\n%b" % (number, HOST) + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
    )


def fields_of(lines: list[bytes]) -> list[tuple[bytes, bytes]] | None:
    """Names in lower case and values, None when a line is no field."""
    parted = [re.fullmatch(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*", line) for line in lines]
    read = [(field[1].lower(), field[2]) for field in parted if field is not None]
    bad = any(re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value) for _, value in read)
    return None if bad or len(read) != len(lines) else read


def body_end(fields: list[tuple[bytes, bytes]], rest: bytes) -> int | None:
    """How long the body is, None when that has no single reading, or not all of it is there."""
    framing = [(name, value) for name, value in fields if name in {b"transfer-encoding", b"content-length"}]
    match framing:
        case []:
            return 0
        case [(b"transfer-encoding", coding)] if coding.lower() == b"chunked":
            whole = re.match(rb"((?:0*[1-9a-f][0-9a-f]*\r\n.*?\r\n)*)0\r\n\r\n", rest, re.DOTALL)
            return None if whole is None else whole.end()
        case [(b"content-length", length)] if re.fullmatch(rb"[0-9]{1,9}", length) and int(length) <= len(rest):
            return int(length)
        case _:
            return None


def strict(wire: bytes) -> list[bytes]:
    """The marks of all requests up to the first that RFC 9112 gives no single reading."""
    marks: list[bytes] = []
    while True:
        wire = re.sub(rb"\A(\r\n)+", b"", wire)  # RFC 9112 section 2.2: at least one empty line is ignored
        head, _, rest = wire.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        began, fields = re.fullmatch(rb"[A-Z]+ /api/([a-z0-9-]+) HTTP/1\.1", line), fields_of(lines)
        end = None if fields is None else body_end(fields, rest)
        if began is None or fields is None or end is None:
            return marks
        marks.append(began[1])
        if any(name == b"connection" and b"close" in value.lower() for name, value in fields):
            return marks
        wire = rest[end:]


async def answers(caller: Caller) -> list[Answered]:
    found = []
    try:
        async with asyncio.timeout(0.1):
            while True:
                found.append(await caller.one())
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        return found


CODINGS = (
    *(b"", b" ", b"\t", b",", b" , ", b"chunked", b",chunked", b"chunked,", b"chunked, chunked", b"gzip, chunked"),
    *(b"chunked;q=1", b'"chunked"', b"\x0bchunked", b"identity", b"CHUNKED", b"xchunked", b"chunked\t", b"chunk\xe9d"),
)
GAPS = (b": ", b":", b":\t", b" : ", b":  ")
LENGTHS = (b"", b"0", b"5", b",5", b"5,", b"5, 5", b"+5", b"05", b"%d" % len(INSIDE))
LINES = st.one_of(
    st.tuples(
        st.sampled_from((b"Transfer-Encoding", b"transfer-encoding", b"Transfer_Encoding")),
        st.sampled_from(GAPS),
        st.sampled_from(CODINGS),
    ),
    st.tuples(st.sampled_from((b"Content-Length", b"content-length")), st.sampled_from(GAPS), st.sampled_from(LENGTHS)),
    st.tuples(
        st.sampled_from((b"Connection", b"TE", b"Expect", b"Trailer", b"Upgrade", b"X-A")),
        st.sampled_from(GAPS),
        st.sampled_from(
            (b"", b",", b", ,", b"close", b",close", b"keep-alive", b"h2c", b"websocket", b"a\nb", b"\xff")
        ),
    ),
).map(b"".join)
BODIES = st.sampled_from(
    (
        b"",
        b"hello",
        INSIDE,
        b"0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\r\n" + INSIDE,
        b"%x\r\n" % len(INSIDE) + INSIDE,
    )
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    return b"".join(
        numbered(number, *draw(st.lists(LINES, max_size=2)), body=draw(BODIES))
        for number in range(draw(st.integers(1, 3)))
    )


@settings(max_examples=250)
@example(numbered(1, TE, body=INSIDE), [])
@example(numbered(1, TE, b"Host: evil.example", body=INSIDE), [])
@given(streams(), st.lists(st.integers(0, 400), max_size=3))
def test_no_request_arrives_that_a_strict_reader_does_not_find(wire: bytes, cuts: list[int]) -> None:
    found = strict(wire)
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})

    async def scenario() -> None:
        async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
            for begin, end in itertools.pairwise(places):
                await caller.send(wire[begin:end])
                await asyncio.sleep(0)
            said = await answers(caller)
            arrived = [mark for received in there.received for mark in strict(received)]
            rest = iter(found)
            assert all(mark in rest for mark in arrived), "in this order"
            assert sum(answer.status == 200 for answer in said) <= len(found)
            assert relay.lines("request.failed") == []

    asyncio.run(scenario())


@pytest.mark.parametrize("value", [b"", b" ", b" \t ", b",", b" , ,"])
@pytest.mark.parametrize("others", [[], [b"Origin: https://evil.example"], [b"Expect: x"], [b"Content-Length: 0"]])
async def test_a_coding_that_names_none_ends_the_connection(value: bytes, others: list[bytes]) -> None:
    """Whatever else is wrong with the request: the refusal of a Host, say, must not leave its body to be read."""
    refused = numbered(1, b"Transfer-Encoding:" + value, *others, body=INSIDE)
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        for parts in ((refused,), (refused[: -len(INSIDE)], INSIDE)):
            async with calling(relay) as caller:
                for part in parts:
                    await caller.send(part)
                    await asyncio.sleep(0)
                answer = await caller.rest()
            assert answer.raw.count(b"Proxy-Status: ") == 1
            assert (answer.problem["code"] != "", answer.headers["connection"]) == (True, "close")
            assert answer.status in {400, 417}
        assert there.calls == b""
