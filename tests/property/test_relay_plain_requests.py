"""Whatever is read as ordinary is what the server's parser, the entrance and the rules for fields make of it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import Origin
from proxy.http1.framing import Head, answer_framing
from proxy.http1.proxied_fields import VIA
from proxy.relay.request.framing import request_framing
from proxy.relay.request.plain_request import Reader
from proxy.relay.request.request_fields import read_fields
from proxy.relay.response.fields import headers_to_caller
from proxy.relay.response.head import ResponseHeads

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 14  # bytes of a body
REQUIRED = (b"x-required", b"yes")
NAMES = (
    b"Host", b"host", b"Content-Length", b"Content_Length", b"Transfer-Encoding", b"Connection", b"Keep-Alive", b"TE",
    b"Upgrade", b"Expect", b"Trailer", b"Authorization", b"Cookie", b"X-Proxy-Key", b"Proxy-Authorization",
    b"X-Forwarded-For", b"Forwarded", b"X-Real-IP", b"X-Request-Id", b"X_Request_Id", b"Traceparent", b"Via",
    b"X-HTTP-Method-Override", b"X-HTTP-Verb", b"X_Original_Method", b"X-Script-Name",
    b"Origin", b"Sec-Fetch-Site", b"Sec-WebSocket-Key1", b"User-Agent", b"Accept",
    b"Content-Type", b"X-Capture", b"X-Envoy-Attempt-Count", b"X-Required", b"x-anything", b"bad name", b"",
)  # fmt: skip
VALUES = (
    b"", b"localhost", b"localhost:80", b"evil.example", b"0", b"5", b"05", b"+5", b"keep-alive", b"close", b"chunked",
    b"Keep-Alive, X-Capture", b"100-continue", b"websocket", b"abc", b"a b", b"true", b"yes", b"1.1 localpayment-proxy",
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", b"application/json", b"\xff", b"a\x00b", b"a\rb",
    b"a\nb",
)  # fmt: skip
GAPS = (b": ", b":", b":  ", b" : ", b":\t")
LINES = st.one_of(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(GAPS), st.sampled_from(VALUES), st.sampled_from((b"", b"", b" "))
    ),
    st.tuples(st.binary(max_size=6), st.sampled_from(GAPS), st.binary(max_size=6), st.just(b"")),
).map(b"".join)
USUAL = (
    *(b"Accept: */*", b"User-Agent: httpx", b"Content-Type: application/json", b"X-Capture: true", b"accept:a"),
    *(
        b"Connection: keep-alive",
        b"Connection: Close",
        b"X-Request-Id: abc",
        b"X-Proxy-Key: abc",
        b"Cookie: a=b",
        b"Authorization: x",
    ),
    *(b"Sec-Fetch-Mode: cors", b"Sec-Fetch-Site: none", b"Sec-Fetch-Site: same-site"),
    *(b"X-Forwarded-For: 1", b"x-anything: \xff", b"X-Empty:", b"X-Spaced: a b\tc", b"Idempotency-Key: 1"),
    b"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
BEGINNINGS = st.sampled_from(
    (
        *(b"GET /api/x HTTP/1.1", b"POST /api/x?a=b HTTP/1.1", b"DELETE /%zz HTTP/1.1", b"PATCH / HTTP/1.1") * 5,
        *(b"HEAD / HTTP/1.1", b"get / HTTP/1.1", b"GET / HTTP/1.0", b"GET  / HTTP/1.1", b"GET * HTTP/1.1", b"GET / "),
        *(b"\r\nGET / HTTP/1.1", b"GET http://localhost/ HTTP/1.1", b"GET /\x80 HTTP/1.1", b"CONNECT a:1 HTTP/1.1"),
    )
)
BODIES = st.sampled_from((b"", b"", b"hello", b"hello, and more", b"GET / HTTP/1.1\r\n\r\n"))
OURS = (b"Host: localhost", b"X-Required: yes")


@st.composite
def segments(draw: st.DrawFn) -> bytes:
    """Mostly requests that are ordinary but for a line."""
    body = draw(BODIES)
    lines = [line for line in OURS if draw(st.integers(0, 9))]
    lines += draw(st.lists(st.sampled_from(USUAL), max_size=4, unique=bool(draw(st.integers(0, 4)))))
    if body and draw(st.integers(0, 9)):
        lines.append(b"Content-Length: %d" % len(body))
    if not draw(st.integers(0, 2)):
        lines.append(draw(LINES))
    return b"\r\n".join((draw(BEGINNINGS), *draw(st.permutations(lines)), b"", body))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def parsed(loop: asyncio.AbstractEventLoop, data: bytes) -> list[tuple[Any, Any]]:
    parser = HttpRequestParser(
        BaseProtocol(loop), loop, 2**16, max_line_size=8192, max_field_size=8190, max_headers=128
    )
    messages, upgraded, tail = parser.feed_data(data)
    assert not upgraded
    assert not tail
    return messages


@settings(max_examples=2000)
@given(data=segments())
def test_what_is_read_is_read_as_everybody_else_reads_it(loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    request = Reader(REQUIRED[0], most_body=MOST).read(data)
    if request is None:
        return
    ((message, payload),) = parsed(loop, data)
    assert (message.method, message.path.encode()) == (request.method, request.target)
    assert (message.version, message.upgrade, message.chunked) == (request.version, False, False)
    assert message.should_close == request.last
    assert payload.is_eof() == (request.owed == 0)
    body = b"".join(payload._buffer) if payload.total_bytes else b""  # noqa: SLF001 - aiohttp's, read without a loop
    assert body == (request.body or b"")
    framing = request_framing((1, 1), request.fields.told)
    length = None if request.body is None else len(request.body) + request.owed
    assert (framing.waits, framing.length) == (False, length)
    assert request.fields == read_fields(message.raw_headers, REQUIRED[0])


@given(st.lists(LINES, max_size=4), BODIES)
def test_a_line_that_was_read_once_is_read_the_same_again(lines: list[bytes], body: bytes) -> None:
    data = b"\r\n".join((b"POST / HTTP/1.1", *OURS, *lines, b"", body))
    reader = Reader(REQUIRED[0], most_body=MOST)
    assert reader.read(data) == reader.read(data) == Reader(REQUIRED[0], most_body=MOST).read(data)


USUAL_ANSWERS = (
    *((b"Content-Type", b"application/json"), (b"Connection", b"close"), (b"Connection", b"keep-alive")),
    *((b"Server", b"nginx"), (b"Date", b"today"), (b"Set-Cookie", b"a=b"), (b"X-Request-Id", b"theirs")),
    *((b"Keep-Alive", b"timeout=5"), (b"x-anything", b"a; b=c"), (b"Location", b"/there"), (b"Authorization", b"x")),
    *((b"Content-Location", b"/there?x=//y"), (b"location", b"/")),
)
ODD_ANSWERS = (
    *((b"Connection", b"x-anything, close"), (b"Proxy-Status", b"other; error=x"), (b"Proxy-Authenticate", b"Basic")),
    *((b"Upgrade", b"h2c"), (b"Trailer", b"x"), (b"X_Odd", b"1"), (b"Via", b"1.1 other"), (b"Content-Length", b"0")),
    *((b"Transfer-Encoding", b"chunked"), (b"Location", b"https://api.localpayment.com/x"), (b"Location", b"//x/y")),
    *((b"Content-Location", b"https://elsewhere.example/"), (b"Location", b"next"), (b"Location", b"")),
)
ORIGIN = Origin("api.localpayment.com", 443, tls=True)


@st.composite
def answers(draw: st.DrawFn) -> list[tuple[bytes, bytes]]:
    fields = draw(st.lists(st.sampled_from(USUAL_ANSWERS), max_size=5))
    fields += draw(st.lists(st.sampled_from(ODD_ANSWERS), max_size=1))
    fields += draw(st.lists(st.just((b"Content-Length", b"5")), max_size=1))
    shuffled: list[tuple[bytes, bytes]] = draw(st.permutations(fields))
    return shuffled


@settings(max_examples=1000)
@given(answers(), st.sampled_from((200, 201, 204, 304, 401, 404, 503)))
def test_an_answer_crosses_the_same_whether_it_is_remembered_or_not(
    fields: list[tuple[bytes, bytes]], status: int
) -> None:
    try:
        framing = answer_framing(b"GET", status, "1.1", fields)
    except Exception:  # noqa: BLE001 - such an answer never gets so far
        return
    heads = ResponseHeads(ORIGIN)
    head = Head(status, b"Fine", fields, framing, comes_again=True)
    composed = heads.compose(head, "ours", None)
    crossing = headers_to_caller(fields, origin=ORIGIN)
    own = [] if any(name.lower() == b"x-request-id" for name, _ in crossing) else [b"X-Request-Id: ours"]
    unwanted = b"Content-Length" if status == HTTPStatus.NO_CONTENT else None
    lines = [name + b": " + value for name, value in crossing if name != unwanted]
    assert composed == b"\r\n".join((b"HTTP/1.1 %d Fine" % status, *lines, *own, VIA, b""))
    assert heads.compose(head, "ours", None) == composed


def test_the_parser_refuses_what_it_must() -> None:
    """That the comparison above can fail: a request with two lengths is none for the server's parser."""
    loop = asyncio.new_event_loop()
    with pytest.raises(HttpProcessingError):
        parsed(loop, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na")
    loop.close()
