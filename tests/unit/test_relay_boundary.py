"""Where the caller's stream stands is only ever said to be between two requests when it is."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.relay.boundary import Boundary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GET = b"GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
EMPTY = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
UPGRADE = b"GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
TRICKY = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
BODIES = TRICKY % (len(GET), GET), TRICKY % (4, b"\r\n\r\n"), TRICKY % (300, b"x" * 300)
KINDS = (GET, POST, EMPTY, CHUNKED, *BODIES, b"\r\n" + GET, b"\r\n\r\n" + POST)


@dataclass(frozen=True)
class Message:
    raw_headers: Sequence[tuple[bytes, bytes]] = ()
    chunked: bool = False
    upgrade: bool = False


def with_length(length: int) -> Message:
    return Message(((b"Host", b"x"), (b"Content-Length", b"%d" % length)))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


class Reading:
    """A boundary that is told what the server's own parser makes of each segment."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.boundary = Boundary()
        self.upgraded = False
        self._parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, max_line_size=8192, max_headers=128)

    def feed(self, data: bytes) -> None:
        messages: Sequence[Any] = ()
        if not self.upgraded:
            messages, self.upgraded, _ = self._parser.feed_data(data)
        self.boundary.fed(data, len(messages), messages[-1][0] if messages else None)


@settings(max_examples=1500)
@given(
    requests=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 400), max_size=4),
    one_each=st.booleans(),
    after_heads=st.booleans(),
)
def test_between_is_never_said_inside_a_request(
    loop: asyncio.AbstractEventLoop, requests: list[bytes], cuts: list[int], *, one_each: bool, after_heads: bool
) -> None:
    ends = set(itertools.accumulate(map(len, requests)))
    wire = b"".join(requests)
    heads = {at + 4 for at in range(len(wire)) if wire.startswith(b"\r\n\r\n", at)}
    cut = {
        *(place for place in cuts if place < len(wire)),
        *(ends if one_each else ()),
        *(heads if after_heads else ()),
    }
    places = sorted({0, len(wire), *cut})
    reading = Reading(loop)
    assert reading.boundary.between
    for begin, end in itertools.pairwise(places):
        reading.feed(wire[begin:end])
        assert end in ends or not reading.boundary.between


@given(requests=st.lists(st.sampled_from((GET, POST, EMPTY)), max_size=5))
def test_of_whole_requests_in_a_segment_each_it_is_always_said(
    loop: asyncio.AbstractEventLoop, requests: list[bytes]
) -> None:
    reading = Reading(loop)
    for request in requests:
        reading.feed(request)
        assert reading.boundary.between


@pytest.mark.parametrize("cut", range(len(POST) - 5, len(POST)))
def test_a_body_in_two_segments_is_followed_to_its_end(loop: asyncio.AbstractEventLoop, cut: int) -> None:
    reading = Reading(loop)
    told = []
    for segment in (POST[:cut], POST[cut:], GET):
        reading.feed(segment)
        told.append(reading.boundary.between)
    assert told == [False, True, True]


@pytest.mark.parametrize(
    ("first", "begun", "message"),
    [
        (GET * 2, 2, Message()),  # which of the two ended where, nobody has counted
        (GET[:-1], 0, None),
        (b"\r\n", 0, None),
        (CHUNKED, 1, Message(chunked=True)),
        (UPGRADE, 1, Message(upgrade=True)),
        (CHUNKED[: CHUNKED.index(b"5\r\n")], 1, Message(chunked=True)),  # all of its body is still to come
        (GET + TRICKY % (300, b""), 2, with_length(300)),
        (GET + b"G", 1, Message()),
        (b"x" * 20, 1, None),
        (b"\r\n", 1, Message()),  # a head that did not begin in this segment
    ],
)
def test_once_it_is_unclear_it_stays_so(first: bytes, begun: int, message: Message | None) -> None:
    boundary = Boundary()
    boundary.fed(first, begun, message)
    assert not boundary.between
    for rest in (b"x" * 255, b"x" * 45, GET):
        boundary.fed(rest, int(rest is GET), Message() if rest is GET else None)
        assert not boundary.between


def test_of_two_heads_in_a_segment_the_first_end_tells_nothing_of_the_second() -> None:
    boundary = Boundary()
    first = GET + TRICKY % (300, b"")
    boundary.fed(first, 2, with_length(300))
    for size in (len(GET) + 300 - len(first), 1):  # what would be owed if the first head were the second's
        boundary.fed(b"x" * size, 0, None)
        assert not boundary.between


def test_more_than_is_owed_or_a_head_while_it_is_owed_is_unclear() -> None:
    for rest, begun in ((b"123456", 0), (b"12345", 1)):
        boundary = Boundary()
        boundary.fed(POST[:-5], 1, with_length(5))
        boundary.fed(rest, begun, Message() if begun else None)
        boundary.fed(b"", 0, None)
        assert not boundary.between


def test_nothing_changes_nothing() -> None:
    boundary = Boundary()
    for data, begun, message in ((b"", 0, None), (POST[:-5], 1, with_length(5)), (b"", 0, None), (POST[-5:], 0, None)):
        boundary.fed(data, begun, message)
    assert boundary.between


@pytest.mark.parametrize("behind", [b"", b"x", b"GET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("in_one", [True, False])
def test_what_comes_behind_an_offer_of_another_protocol_has_overrun(*, behind: bytes, in_one: bool) -> None:
    boundary = Boundary()
    boundary.fed(UPGRADE + (behind if in_one else b""), 1, Message(upgrade=True))
    if not in_one:
        boundary.fed(behind, 0, None)
    assert boundary.overran == bool(behind)
    assert not boundary.between


def test_a_body_of_such_an_offer_has_not_overrun_until_it_is_whole() -> None:
    boundary = Boundary()
    offer = Message(((b"Content-Length", b"5"),), upgrade=True)
    boundary.fed(POST[:-5], 1, offer)
    boundary.fed(b"hello", 0, None)
    assert not boundary.overran
    boundary.fed(b"!", 0, None)
    assert boundary.overran


def test_an_offer_whose_head_came_in_pieces_counts_as_overrun() -> None:
    boundary = Boundary()
    boundary.fed(UPGRADE[:-1], 0, None)
    boundary.fed(b"\n", 1, Message(upgrade=True))
    assert boundary.overran
