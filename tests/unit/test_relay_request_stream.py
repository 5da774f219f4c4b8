"""Requests are parted as the wire has them, whatever the network does, and nothing behind an unreadable one is read."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import _ErrInfo
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.process.memory import MemoryBudget
from proxy.relay.server.request_stream import RequestStream

if TYPE_CHECKING:
    from collections.abc import Iterator

GET = b"GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
EMPTY = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
CODED = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = CODED + b"5\r\nhello\r\n0\r\n\r\n"
TRAILED = CODED + b"5;a=b\r\nhello\r\n0;c\r\nX-T: v\r\n\r\n"
ENDS_INSIDE = CODED + b"a\r\n\r\n\r\n0\r\n\r\nx\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n"
UPGRADE = b"GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
TCP = UPGRADE.replace(b"h2c", b"tcp")
OFFERING = POST.replace(b"Content-Length", b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length")
TRICKY = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
BODIES = TRICKY % (len(GET), GET), TRICKY % (4, b"\r\n\r\n"), TRICKY % (300, b"x" * 300)
KINDS = (
    *(GET, POST, EMPTY, CHUNKED, TRAILED, ENDS_INSIDE, UPGRADE, TCP, OFFERING, *BODIES),
    *(b"\r\n" + GET, b"\r\n\r\n" + POST),
)
BROKEN = (
    *(
        b"GET  /api/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\0",
        b"GET /api/x HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n",
    ),
    *(CODED + b"zz\r\n", b"GET /api/x HTTP/1.1\nHost: a\r\n\r\n", b"get /api/x HTTP/1.1\r\n\r\n", b"\x16\x03\x01"),
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


class Reading(BaseProtocol):
    """What a server reads with the stream in the parser's place, when it takes each request at once, or none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int = 2**16, *, taking: bool = True) -> None:
        parser = HttpRequestParser(
            self, loop, limit, max_line_size=8192, max_headers=128, max_field_size=8190, max_msg_queue_size=32
        )
        self.stream = RequestStream(parser, MemoryBudget(1 << 30))
        parsed: Any = self.stream
        super().__init__(loop, parsed)
        self.found: list[tuple[Any, Any]] = []
        self._taking = taking

    def data_received(self, data: bytes) -> None:
        found, upgraded, tail = self.stream.feed_data(data)
        assert (upgraded, tail) == (False, b"")
        self.found += found
        if found and self._taking:
            self.take()

    def take(self) -> None:
        """Take the request that waits, and read on."""
        self.stream.message_consumed()
        self.data_received(b"")

    @property
    def failed(self) -> bool:
        return bool(self.found) and isinstance(self.found[-1][0], _ErrInfo)

    @property
    def bodies(self) -> list[bytes]:
        return [b"".join(payload._buffer) if payload.total_bytes else b"" for _, payload in self.found]  # noqa: SLF001 - aiohttp's, read without a loop


def body_of(request: bytes) -> bytes:
    """What the server's own parser makes of a request that is alone."""
    loop = asyncio.new_event_loop()
    ((_, payload),) = HttpRequestParser(BaseProtocol(loop), loop, 2**16).feed_data(request)[0]
    loop.close()
    return b"".join(payload._buffer) if payload.total_bytes else b""  # noqa: SLF001 - as above


BODY_OF = {kind: body_of(kind) for kind in KINDS}


@settings(max_examples=1500)
@given(
    requests=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    broken=st.sampled_from((b"", *BROKEN)),
    cuts=st.lists(st.integers(0, 600), max_size=4),
    one_each=st.booleans(),
    after_heads=st.booleans(),
)
def test_each_request_is_read_and_between_is_only_said_between_two(
    loop: asyncio.AbstractEventLoop,
    requests: list[bytes],
    broken: bytes,
    cuts: list[int],
    *,
    one_each: bool,
    after_heads: bool,
) -> None:
    ends = set(itertools.accumulate(map(len, requests)))
    last = max(ends)
    wire = b"".join(requests) + broken
    heads = {at + 4 for at in range(len(wire)) if wire.startswith(b"\r\n\r\n", at)}
    cut = {
        *(place for place in cuts if place < len(wire)),
        *(ends if one_each else ()),
        *(heads if after_heads else ()),
    }
    reading = Reading(loop)
    empty_lines = {end + extra for end in (0, *ends) for extra in (2, 4)}  # they are ignored, and no part of a request
    for begin, end in itertools.pairwise(sorted({0, len(wire), *cut})):
        reading.data_received(wire[begin:end])
        assert reading.stream.between == (end in ends) or end in empty_lines or end > last, end
    assert [payload.is_eof() for _, payload in reading.found[: len(requests)]] == [True] * len(requests)
    assert reading.bodies[: len(requests)] == [BODY_OF[request] for request in requests]
    assert reading.failed == bool(broken)
    before = len(reading.found)
    reading.data_received(GET)
    assert len(reading.found) == before + (not broken), "nothing is read behind what is broken"


@pytest.mark.parametrize("cut", range(1, len(CHUNKED)))
def test_a_request_in_two_pieces_is_one(loop: asyncio.AbstractEventLoop, cut: int) -> None:
    reading = Reading(loop)
    told = []
    for piece in (CHUNKED[:cut], CHUNKED[cut:] + GET):
        reading.data_received(piece)
        told.append(reading.stream.between)
    assert told == [False, True]
    assert reading.bodies == [b"hello", b""]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_request_in_crumbs_is_the_same(loop: asyncio.AbstractEventLoop, kind: bytes, size: int) -> None:
    reading = Reading(loop)
    for at in range(0, len(kind), size):
        reading.data_received(kind[at : at + size])
    assert reading.bodies == [BODY_OF[kind]]
    assert reading.stream.between


def test_none_is_read_while_one_waits_to_be_taken(loop: asyncio.AbstractEventLoop) -> None:
    reading = Reading(loop, taking=False)
    reading.data_received(GET * 8 + POST + b"broken\r\n")
    for count in range(1, 10):
        assert (len(reading.found), reading.failed, reading.stream.between) == (count, False, False)
        reading.data_received(b"")
        assert len(reading.found) == count
        reading.take()
    assert (len(reading.found), reading.failed) == (10, True)
    assert reading.bodies[8] == b"hello"


def test_the_body_of_one_that_waits_is_read_on(loop: asyncio.AbstractEventLoop) -> None:
    reading = Reading(loop, taking=False)
    for piece in (POST[:-4], POST[-4:-1], POST[-1:] + GET):
        reading.data_received(piece)
    assert reading.bodies == [b"hello"]
    reading.take()
    assert reading.bodies == [b"hello", b""]


@pytest.mark.parametrize("body", [b"Content-Length: 2000\r\n\r\n" + b"x" * 2000, None])
def test_what_stands_behind_a_body_waits_until_that_is_taken(
    loop: asyncio.AbstractEventLoop, body: bytes | None
) -> None:
    """A body that is larger than its reader wants for now holds back the parser; the next request must not slip in."""
    chunks = b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b"x" * 100 + b"\r\n"
    rest = b"64\r\n" + b"x" * 100 + b"\r\n"
    sent = b"POST / HTTP/1.1\r\nHost: a\r\n" + (body or chunks + rest * 19 + b"0\r\n\r\n")
    reading = Reading(loop, limit=50)
    reading.data_received(sent + GET)
    reading.data_received(GET)
    payload = reading.found[0][1]
    taken = b""
    while not payload.at_eof():
        taken += payload.read_nowait()
    assert taken == b"x" * 2000
    assert len(reading.found) == 3
    assert reading.stream.between


@pytest.mark.parametrize("cut", [0, 3])
def test_a_body_of_many_empty_lines_is_read_but_in_one_piece_with_it_nothing_behind_it(
    loop: asyncio.AbstractEventLoop, cut: int
) -> None:
    """To look behind each of them for the next request would take long."""
    lines = b"\r\n" * 1000
    body = CODED + b"%x\r\n" % len(lines) + lines + b"\r\n0\r\n\r\n"
    for behind, failed in ((b"", False), (GET, True), (GET[:5], True)):
        reading = Reading(loop)
        wire = body + behind
        reading.data_received(wire[: len(wire) - cut])
        reading.data_received(wire[len(wire) - cut :])
        assert reading.bodies[0] == lines
        assert reading.failed == failed
        assert reading.stream.between != failed
        reading.data_received(GET)
        assert len(reading.found) == 2


def test_nothing_is_read_behind_a_tunnel(loop: asyncio.AbstractEventLoop) -> None:
    reading = Reading(loop)
    reading.data_received(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + GET)
    reading.data_received(GET)
    assert len(reading.found) == 1
    assert not reading.stream.between


def test_a_parser_that_tells_of_a_request_elsewhere_than_where_it_ends_is_not_believed() -> None:
    class Eager:
        def feed_data(self, data: bytes) -> tuple[list[tuple[None, None]], bool, bytes]:
            del data
            return [(None, None)], False, b""

    eager: Any = Eager()
    stream = RequestStream(eager, MemoryBudget(1 << 30))
    ((said, _),), _, _ = stream.feed_data(GET[:-1])
    assert isinstance(said, _ErrInfo)
    assert stream.feed_data(GET) == ([], False, b"")
