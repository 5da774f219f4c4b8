"""One call in, exactly one request out; one head in, exactly one place where the answer ends."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

import pytest

from proxy.http1.framing import Ending, Framing, MalformedAnswerError, answer_framing
from proxy.upstream.model import Body, BodyLengthError, Limits, OutgoingRequest, Stream
from proxy.upstream.request import BodyFramer, header_lines, opening
from proxy.upstream.reuse import lifetime, take_warm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def nothing() -> AsyncIterator[bytes]:
    for piece in list[bytes]():
        yield piece


def call(
    method: bytes = b"GET",
    target: bytes = b"/a",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    body: Body = None,
) -> OutgoingRequest:
    return OutgoingRequest(method, target, header_lines(headers), body, effects=False)


def test_a_head_is_the_request_line_then_host_then_the_fields_in_order() -> None:
    head = opening(call(b"POST", b"/a%2Fb/?q=1", ((b"X-B", b"1"), (b"x-a", b""), (b"X-B", b"2"))), b"api.test:81")
    assert head == b"POST /a%2Fb/?q=1 HTTP/1.1\r\nHost: api.test:81\r\nX-B: 1\r\nx-a: \r\nX-B: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, b""),
        (b"", b"Content-Length: 0\r\n"),
        (b"abc", b"Content-Length: 3\r\n"),
        (Stream(7, nothing()), b"Content-Length: 7\r\n"),
        (Stream(0, nothing()), b"Content-Length: 0\r\n"),
        (Stream(None, nothing()), b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_a_body_is_framed_in_exactly_one_way(body: Body, field: bytes) -> None:
    held = body if isinstance(body, bytes) else b""
    assert opening(call(body=body), b"h") == b"GET /a HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n" + held


@pytest.mark.parametrize(
    "wrong",
    [
        call(method=b""),
        call(method=b"GET /x HTTP/1.1\r\n"),
        call(method=b"CONNECT"),
        call(target=b""),
        call(target=b"http://other/"),
        call(target=b"*"),
        call(target=b"/a b"),
        call(target=b"/a\r\nX: y"),
        call(target=b"/a\x00"),
        call(target=b"/a\x7f"),
    ],
)
def test_a_call_that_would_not_be_one_unambiguous_request_is_refused(wrong: OutgoingRequest) -> None:
    with pytest.raises(ValueError, match="method"):
        opening(wrong, b"h")


@pytest.mark.parametrize(
    "field",
    [
        (b"", b"v"),
        (b"a b", b"v"),
        (b"a:", b"v"),
        (b"a\n", b"v"),
        (b"a", b"v\r\nEvil: 1"),
        (b"a", b"v\n"),
        (b"a", b"\x00"),
        (b"HOST", b"other"),
        (b"Content-length", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"Connection", b"close"),
        (b"Upgrade", b"h2c"),
    ],
)
def test_a_field_that_is_none_or_is_the_pools_makes_no_line(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="header field"):
        header_lines([field])


def test_a_chunked_body_carries_each_chunk_and_ends_with_the_last_chunk() -> None:
    framer = BodyFramer(None)
    assert framer.frame(b"hello, world, hi") == b"10\r\nhello, world, hi\r\n"
    assert framer.frame(b"") == b""
    assert not framer.complete
    assert framer.end() == b"0\r\n\r\n"


def test_a_sized_body_is_complete_at_its_last_declared_byte() -> None:
    framer = BodyFramer(3)
    pieces = [(framer.frame(piece), framer.complete) for piece in (b"ab", b"c")]
    assert pieces == [(b"ab", False), (b"c", True)]
    assert framer.end() == b""


def test_a_body_longer_than_declared_is_refused_before_a_byte_too_many() -> None:
    framer = BodyFramer(3)
    framer.frame(b"ab")
    with pytest.raises(BodyLengthError, match="longer"):
        framer.frame(b"cd")


def test_a_body_shorter_than_declared_is_refused_at_its_end() -> None:
    framer = BodyFramer(3)
    framer.frame(b"ab")
    with pytest.raises(BodyLengthError, match="shorter"):
        framer.end()


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than nothing"):
        BodyFramer(-1)


CL, TE, CON = b"Content-Length", b"Transfer-Encoding", b"Connection"


@pytest.mark.parametrize(
    ("method", "status", "version", "headers", "framing"),
    [
        (b"GET", 200, "1.1", [(CL, b"5")], Framing(Ending.LENGTH, 5, keeps_alive=True)),
        (b"GET", 200, "1.1", [(b"content-LENGTH", b"0")], Framing(Ending.HEAD, 0, keeps_alive=True)),
        (b"GET", 200, "1.1", [(TE, b"Chunked")], Framing(Ending.CHUNKS, None, keeps_alive=True)),
        (b"GET", 200, "1.1", [], Framing(Ending.EOF, None, keeps_alive=False)),
        (b"GET", 200, "1.0", [(CL, b"5")], Framing(Ending.LENGTH, 5, keeps_alive=False)),
        (b"GET", 200, "1.0", [(CL, b"5"), (CON, b"keep-alive")], Framing(Ending.LENGTH, 5, keeps_alive=False)),
        (b"GET", 200, "1.1", [(CL, b"5"), (CON, b"x , CLOSE")], Framing(Ending.LENGTH, 5, keeps_alive=False)),
        (b"GET", 200, "1.1", [(CON, b"x"), (CON, b"close"), (CL, b"5")], Framing(Ending.LENGTH, 5, keeps_alive=False)),
        (b"GET", 200, "1.1", [(CL, b"5"), (CON, b"not-close")], Framing(Ending.LENGTH, 5, keeps_alive=True)),
        (b"HEAD", 200, "1.1", [(CL, b"5")], Framing(Ending.HEAD, 5, keeps_alive=True)),
        (b"HEAD", 200, "1.1", [(TE, b"chunked")], Framing(Ending.HEAD, None, keeps_alive=True)),
        (b"HEAD", 200, "1.1", [], Framing(Ending.HEAD, None, keeps_alive=True)),
        (b"head", 200, "1.1", [(CL, b"5")], Framing(Ending.LENGTH, 5, keeps_alive=True)),
        (b"GET", 304, "1.1", [(CL, b"5")], Framing(Ending.HEAD, 5, keeps_alive=True)),
        (b"GET", 204, "1.1", [], Framing(Ending.HEAD, None, keeps_alive=True)),
        (b"GET", 204, "1.1", [(CL, b"0")], Framing(Ending.HEAD, 0, keeps_alive=True)),
        (b"GET", 204, "1.1", [(CL, b"5")], Framing(Ending.HEAD, 5, keeps_alive=False)),
        (b"GET", 204, "1.1", [(TE, b"chunked")], Framing(Ending.HEAD, None, keeps_alive=False)),
        (b"GET", 200, "1.1", [(CL, b"9" * 18)], Framing(Ending.LENGTH, 10**18 - 1, keeps_alive=True)),
    ],
)
def test_an_answer_has_one_ending(
    method: bytes, status: int, version: str, headers: list[tuple[bytes, bytes]], framing: Framing
) -> None:
    assert answer_framing(method, status, version, headers) == framing
    assert framing.has_body == (framing.ending is not Ending.HEAD)


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.1", [(CL, b"5"), (CL, b"6")]),
        ("1.1", [(CL, b"5"), (CL, b"5")]),
        ("1.1", [(CL, b"5, 5")]),
        ("1.1", [(CL, b"+5")]),
        ("1.1", [(CL, b"-5")]),
        ("1.1", [(CL, b"")]),
        ("1.1", [(CL, b"0x5")]),
        ("1.1", [(CL, b"5 5")]),
        ("1.1", [(CL, "\u0665".encode())]),
        ("1.1", [(CL, b"9" * 19)]),
        ("1.1", [(CL, b"5"), (TE, b"chunked")]),
        ("1.1", [(TE, b"gzip, chunked")]),
        ("1.1", [(TE, b"chunked, chunked")]),
        ("1.1", [(TE, b"chunked"), (TE, b"chunked")]),
        ("1.1", [(TE, b"identity")]),
        ("1.1", [(TE, b"")]),
        ("1.1", [(TE, b"\x0bchunked")]),
        ("1.0", [(TE, b"chunked")]),
    ],
)
@pytest.mark.parametrize(("method", "status"), [(b"GET", 200), (b"HEAD", 200), (b"GET", 304), (b"GET", 204)])
def test_a_head_whose_end_can_be_read_in_two_ways_is_refused(
    version: str, headers: list[tuple[bytes, bytes]], method: bytes, status: int
) -> None:
    with pytest.raises(MalformedAnswerError, match=r"Transfer-Encoding|Content-Length"):
        answer_framing(method, status, version, headers)


@dataclass
class Idle:
    """A connection that was idle for so long at the time 100, and is to begin calls until `retires_at`."""

    idle_seconds: InitVar[float]
    retires_at: float = 100.1
    fit: bool = True
    aborted: bool = False
    idle_since: float = field(init=False)

    def __post_init__(self, idle_seconds: float) -> None:
        self.idle_since = 100.0 - idle_seconds

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize(
    ("idle_seconds", "effects", "fate"),
    [
        (0.0, True, "used"),
        (2.0, True, "used"),
        (2.1, True, "kept"),
        (2.1, False, "used"),
        (3.9, False, "used"),
        (4.0, False, "closed"),
        (4.0, True, "closed"),
        (-0.1, False, "closed"),
    ],
)
def test_a_call_with_effects_takes_only_a_warm_connection(*, idle_seconds: float, effects: bool, fate: str) -> None:
    limits = Limits(pool_idle=4.0, effects_idle=2.0)
    connection = Idle(idle_seconds)
    idle = [connection]
    taken = take_warm(idle, 100.0, effects=effects, limits=limits)
    assert (taken is connection, idle == [connection], connection.aborted) == (
        fate == "used",
        fate == "kept",
        fate == "closed",
    )


@pytest.mark.parametrize("idle_seconds", [0.0, 2.1])
def test_one_that_is_too_old_or_no_longer_fit_is_closed_and_the_next_one_taken(idle_seconds: float) -> None:
    good, old, unfit = Idle(1.0), Idle(idle_seconds, retires_at=100.0), Idle(0.5, fit=False)
    idle = [good, old, unfit]
    assert take_warm(idle, 100.0, effects=True, limits=Limits(pool_idle=4.0, effects_idle=2.0)) is good
    assert (idle, old.aborted, unfit.aborted) == ([], True, True)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 300.0), (0.5, 270.0), (1.0, 240.0)])
def test_connections_that_were_made_together_do_not_end_together(chance: float, seconds: float) -> None:
    assert lifetime(Limits(max_age=300.0), chance) == seconds
