"""What is an answer, byte for byte, and what is refused."""

from __future__ import annotations

import pytest

from proxy.http1.framing import MalformedAnswerError
from proxy.upstream.model import Limits
from proxy.upstream.parser import AnswerParser

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def parsed(*segments: bytes, method: bytes = b"GET", limits: Limits | None = None) -> tuple[AnswerParser, bytes]:
    parser = AnswerParser(method, limits or Limits())
    body = [piece for segment in segments for piece in parser.feed(segment)]
    return parser, b"".join(body)


def test_a_head_is_given_as_it_came_without_the_space_around_values() -> None:
    parser, body = parsed(OK + b"B: 1\r\na:\t x \t\r\nB:\r\nContent-Length: 2\r\n\r\nhi")
    assert parser.head is not None
    assert (parser.head.status, parser.head.reason) == (200, b"OK")
    assert parser.head.headers == [(b"B", b"1"), (b"a", b"x"), (b"B", b""), (b"Content-Length", b"2")]
    assert (body, parser.complete, bool(parser.excess)) == (b"hi", True, False)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200\r\n", 200, b""),
        (b"HTTP/1.1 200 \r\n", 200, b""),
        (b"HTTP/1.0 404 Not \xe9 Found\r\n", 404, b"Not \xe9 Found"),
        (b"HTTP/1.1 999 x\r\n", 999, b"x"),
    ],
)
def test_a_status_line_may_lack_its_reason(line: bytes, status: int, reason: bytes) -> None:
    parser, _ = parsed(line + b"\r\n")
    assert parser.head is not None
    assert (parser.head.status, parser.head.reason) == (status, reason)


def test_chunks_are_joined_and_extensions_and_trailers_taken_apart() -> None:
    parser, body = parsed(CHUNKED + b'5;a="b"\r\nhello\r\n1\r\n!\r\n0\r\nSum: 1\r\nSum: 2\r\n\r\n')
    assert (body, parser.complete, bool(parser.excess)) == (b"hello!", True, False)
    assert parser.trailers == [(b"Sum", b"1"), (b"Sum", b"2")]


def test_an_answer_without_length_ends_with_the_connection() -> None:
    parser, body = parsed(OK + b"\r\nab", b"c")
    assert (body, parser.complete) == (b"abc", False)
    parser.feed_eof()
    assert parser.complete


@pytest.mark.parametrize(
    "cut", [b"", b"HTTP/1.1 2", OK + b"Content-Length: 5\r\n\r\nab", CHUNKED + b"5\r\nhello\r\n", CHUNKED + b"0\r\n"]
)
def test_an_answer_with_an_ending_of_its_own_is_not_completed_by_the_end_of_the_connection(cut: bytes) -> None:
    parser, _ = parsed(cut)
    parser.feed_eof()
    assert not parser.complete


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_204_and_304_have_no_body(status: bytes) -> None:
    parser, body = parsed(b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n")
    assert (body, parser.complete, bool(parser.excess)) == (b"", True, False)


def test_an_answer_to_head_has_no_body_whatever_it_declares() -> None:
    parser, body = parsed(OK + b"Content-Length: 5\r\n\r\n", method=b"HEAD")
    assert parser.head is not None
    assert (body, parser.complete, parser.head.framing.length) == (b"", True, 5)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"GET", OK + b"Content-Length: 2\r\n\r\nhi!"),
        (b"GET", OK + b"Content-Length: 0\r\n\r\n!"),
        (b"HEAD", OK + b"Content-Length: 2\r\n\r\nhi"),
        (b"GET", b"HTTP/1.1 204 x\r\n\r\n\r\n"),
        (b"GET", CHUNKED + b"0\r\n\r\n\r\n"),
        (b"GET", CHUNKED + b"0\r\n\r\n\n"),
        (b"GET", CHUNKED + b"0\r\n\r\n\r"),
        (b"GET", CHUNKED + b"0\r\nA: b\r\n\r\n\r\n\r\n"),
        (b"GET", CHUNKED + b"2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"),
        (b"GET", CHUNKED + b"0\r\n\r\ngarbage"),
        (b"GET", OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx"),
    ],
)
def test_bytes_after_an_answer_are_noticed_wherever_the_segments_part(method: bytes, answer: bytes) -> None:
    assert parsed(answer, method=method)[0].excess
    for at in range(1, len(answer)):
        parser, _ = parsed(answer[:at], answer[at:], method=method)
        assert (parser.complete, bool(parser.excess)) == (True, True), at


def test_interim_answers_are_skipped() -> None:
    parser, body = parsed(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        + OK
        + b"Content-Length: 1\r\n\r\nx"
    )
    assert parser.head is not None
    assert (parser.head.status, parser.head.headers, body) == (200, [(b"Content-Length", b"1")], b"x")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
        b"HTTP/1.1 20 x\r\n\r\n",
        b"HTTP/1.1 2000 x\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 a\x00b\r\n\r\n",
        b"HTTP/1.1 200 a\x0bb\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\r\n" + OK + b"\r\n",
        b" " + OK + b"\r\n",
        b"<html>",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 200 OK\n\n",
        OK + b"A: b\n\r\n",
        OK + b"A: b\n\n",
        OK + b"A: b\r\r\n",
        OK + b"A: b\r\n folded\r\n\r\n",
        OK + b"A: b\r\n\tfolded\r\n\r\n",
        OK + b" A: b\r\n\r\n",
        OK + b"A : b\r\n\r\n",
        OK + b"A b\r\n\r\n",
        OK + b": b\r\n\r\n",
        OK + b"A\x00: b\r\n\r\n",
        OK + b"A(: b\r\n\r\n",
        OK + b"\xc3\xa9: b\r\n\r\n",
        OK + b"A: b\x00c\r\n\r\n",
        OK + b"A: b\x01c\r\n\r\n",
        OK + b"A: b\x7fc\r\n\r\n",
        OK + b"A: b\rc\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Transfer-Encoding: xchunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNKED + b"5\nhello\r\n",
        CHUNKED + b" 5\r\nhello\r\n",
        CHUNKED + b"5 \r\nhello\r\n",
        CHUNKED + b"0x5\r\nhello\r\n",
        CHUNKED + b"-5\r\nhello\r\n",
        CHUNKED + b"\r\n",
        CHUNKED + b"fffffffffffffffff\r\n",
        CHUNKED + b"5\r\nhello!",
        CHUNKED + b"5;\x00\r\nhello\r\n",
        CHUNKED + b'5;a="\n"\r\nhello\r\n',
        CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
        CHUNKED + b"0\r\nTransfer-Encoding: gzip\r\n\r\n",
        CHUNKED + b"0\r\nA : b\r\n\r\n",
        CHUNKED + b"0\r\nA: b\n\n",
    ],
)
def test_what_is_not_strict_http_is_refused_wherever_the_segments_part(answer: bytes) -> None:
    for at in range(len(answer)):
        with pytest.raises(MalformedAnswerError) as refused:
            parsed(answer[:at], answer[at:])
        assert refused.value.__cause__ is None or str(refused.value.__cause__) not in str(refused.value)


def head_of(size: int) -> bytes:
    frame = OK + b"A: \r\n\r\n"
    return OK + b"A: " + b"x" * (size - len(frame)) + b"\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_a_head_may_be_as_long_as_the_limit_and_not_a_byte_longer(step: int) -> None:
    limits = Limits(max_head=200)
    fits, breaks = head_of(200), head_of(201)
    parser, _ = parsed(*(fits[i : i + step] for i in range(0, 200, step)), limits=limits)
    assert parser.head is not None
    with pytest.raises(MalformedAnswerError, match="longer than 200 bytes"):
        parsed(*(breaks[i : i + step] for i in range(0, 201, step)), limits=limits)


def test_a_head_without_end_is_refused_at_the_limit() -> None:
    with pytest.raises(MalformedAnswerError, match="longer than 200 bytes"):
        parsed(OK, b"A: ", b"x" * 181, limits=Limits(max_head=200))


def test_a_head_may_have_as_many_fields_as_the_limit_and_not_one_more() -> None:
    limits = Limits(max_headers=3)
    assert parsed(OK + b"A: b\r\n" * 3 + b"\r\n", limits=limits)[0].head is not None
    with pytest.raises(MalformedAnswerError, match="more than 3 fields"):
        parsed(OK + b"A: b\r\n" * 4 + b"\r\n", limits=limits)


def test_each_interim_head_has_the_limit_to_itself() -> None:
    parser, _ = parsed(b"HTTP/1.1 100 x\r\nA: b\r\n\r\n" * 8 + OK + b"\r\n", limits=Limits(max_head=30))
    assert parser.head is not None


@pytest.mark.parametrize("step", [1, 13, 100_000])
def test_chunk_extensions_are_bounded_though_llhttp_does_not_bound_them(step: int) -> None:
    long = CHUNKED + b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n"
    with pytest.raises(MalformedAnswerError, match="too long"):
        parsed(*(long[i : i + step] for i in range(0, len(long), step)))


def test_many_small_extensions_are_bounded_together() -> None:
    with pytest.raises(MalformedAnswerError, match="too long"):
        parsed(CHUNKED, *([b"1;" + b"a" * 100 + b"\r\nx\r\n"] * 1000))


def test_trailers_are_bounded_in_size_and_number() -> None:
    with pytest.raises(MalformedAnswerError, match="too long"):
        parsed(CHUNKED + b"0\r\nA: " + b"x" * 20_000)
    with pytest.raises(MalformedAnswerError, match="too long"):
        parsed(CHUNKED + b"0\r\n" + b"A: b\r\n" * 4 + b"\r\n", limits=Limits(max_headers=3))


def test_a_body_sent_byte_by_byte_is_not_taken_for_an_abuse_of_framing() -> None:
    parser, body = parsed(CHUNKED, *([b"1\r\nx\r\n"] * 20_000), b"0\r\n\r\n")
    assert (len(body), parser.complete, bool(parser.excess)) == (20_000, True, False)


def test_a_large_body_earns_no_credit_for_long_extensions() -> None:
    with pytest.raises(MalformedAnswerError, match="too long"):
        parsed(CHUNKED, b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n", b"1;" + b"a" * 20_000 + b"\r\nx\r\n")
