"""The head of an ordinary answer is read as llhttp reads it; of any other nothing is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.http1.answer_head import AnswerHeads
from proxy.http1.framing import Head, MalformedAnswerError
from proxy.upstream.model import Limits
from proxy.upstream.parser import AnswerParser

LENGTH = b"Content-Length: 0"
MOST = 128
STATUS_LINES = (
    b"HTTP/1.1 200 OK", b"HTTP/1.1 201 Created", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 299 Made up", b"HTTP/1.1 500 ",
    b"HTTP/1.0 200 OK", b"HTTP/1.1 100 Continue", b"HTTP/1.1 1000 OK", b"HTTP/1.1 20 OK", b"http/1.1 200 OK",
    b"HTTP/1.1 200", b"HTTP/1.1  200 OK", b"HTTP/1.1 200 \x00", b"HTTP/1.1 200 \xe9", b"HTTP/2 200 OK", b"", b"204",
    b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 099 x", b"HTTP/1.1 999 x", b" HTTP/1.1 200 OK",
)  # fmt: skip
FIELD_LINES = (
    LENGTH, b"Content-Length: 5", b"content-length:5", b"Content-Length: +5", b"Content-Length: 5, 5",
    b"Content-Length:", b"Server: nginx", b"Server:nginx", b"Server:  nginx  ", b"Server : nginx", b"Server", b": x",
    b"", b" folded", b"\tfolded", b"Transfer-Encoding: chunked", b"Upgrade: h2c", b"Trailer: x", b"Connection: close",
    b"Connection: keep-alive, X", b"X-Bare: a\rb", b"X-Null: a\x00b", b"X-High: \xff", b"X Y: z", b"X-Empty: ",
    b"Set-Cookie: a=b", b"Keep-Alive: 5",
)  # fmt: skip


def plain_head(method: bytes, lines: list[bytes]) -> Head | None:
    return AnswerHeads(MOST).plain_head(method, b"\r\n".join(lines))


@pytest.mark.parametrize(
    "lines",
    [
        [b"HTTP/1.0 200 OK", LENGTH],
        [b"HTTP/1.1 100 Continue"],
        [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: x"],
        [b"HTTP/1.1 200", LENGTH],
        [b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"],
        [b"HTTP/1.1 200 OK", b"TRAILER: x", LENGTH],
        [b"HTTP/1.1 200 OK", b"upgrade: h2c", LENGTH],
        [b"HTTP/1.1 200 OK", b"Server : nginx", LENGTH],
        [b"HTTP/1.1 200 OK", b"Server", LENGTH],
        [b"HTTP/1.1 200 OK", b" folded", LENGTH],
        [b"HTTP/1.1 200 OK", b"X: a\x00", LENGTH],
        [b"HTTP/1.1 200 a\x7f", LENGTH],
    ],
)
def test_what_is_unusual_is_left_to_llhttp(lines: list[bytes]) -> None:
    assert plain_head(b"GET", lines) is None


def test_a_plain_head_is_read() -> None:
    head = plain_head(b"GET", [b"HTTP/1.1 200 OK", b"Server:\tnginx ", b"Content-Length: 5"])
    assert head is not None
    assert (head.status, head.reason) == (200, b"OK")
    assert head.headers == [(b"Server", b"nginx"), (b"Content-Length", b"5")]
    assert (head.framing.length, head.framing.keeps_alive) == (5, True)


@pytest.mark.parametrize("lengths", [(b"5", b"5"), (b"5", b"6"), (b"-1",), (b"5, 5",), (b"",), (b"1" * 19,)])
def test_an_end_that_can_be_read_in_two_ways_is_refused_each_time(lengths: tuple[bytes, ...]) -> None:
    lines = [b"HTTP/1.1 200 OK", *(b"Content-Length: " + length for length in lengths)]
    for _ in range(2):  # also once the lines are remembered
        with pytest.raises(MalformedAnswerError):
            plain_head(b"GET", lines)


def by_llhttp(method: bytes, lines: list[bytes]) -> Head | None:
    """Read the head in two segments, so that llhttp is asked."""
    parser = AnswerParser(method, Limits())
    head = b"\r\n".join((*lines, b"", b""))
    parser.feed(head[:1])
    parser.feed(head[1:])
    return parser.head


@settings(max_examples=1500)
@given(
    st.sampled_from((b"GET", b"HEAD", b"POST")),
    st.sampled_from(STATUS_LINES[:5] * 3 + STATUS_LINES),
    st.lists(st.one_of(st.sampled_from(FIELD_LINES), st.binary(max_size=8)), max_size=4),
)
def test_what_is_read_here_llhttp_reads_so_too(method: bytes, status: bytes, fields: list[bytes]) -> None:
    lines = b"\r\n".join((status, *fields)).split(b"\r\n")
    if b"" in lines[1:]:
        return  # the parser cuts the head there
    for _ in range(2):  # also once its lines are remembered
        try:
            head = plain_head(method, lines)
        except MalformedAnswerError:
            with pytest.raises(MalformedAnswerError):
                by_llhttp(method, lines)
            return
        if head is not None:
            assert by_llhttp(method, lines) == head


def test_of_more_fields_than_may_be_nothing_is_said() -> None:
    head = b"\r\n".join((b"HTTP/1.1 200 OK", *(b"X-%d: 1" % number for number in range(4)), LENGTH))
    assert AnswerHeads(5).plain_head(b"GET", head) is not None
    assert AnswerHeads(4).plain_head(b"GET", head) is None


def test_a_head_that_comes_again_is_told_so_and_is_read_for_each_method() -> None:
    head = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 5"
    heads = AnswerHeads(MOST)
    new, first, again, to_head = (heads.plain_head(method, head) for method in (b"GET", b"GET", b"GET", b"HEAD"))
    assert new is not None
    assert not new.comes_again
    assert first is not None
    assert to_head is not None
    assert again is first
    assert first.comes_again
    assert (first.framing.has_body, to_head.framing.has_body) == (True, False)
    other = heads.plain_head(b"GET", head + b"\r\nX-Own: 1")
    assert other is not None
    assert not other.comes_again
