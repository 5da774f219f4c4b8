"""What a caller gets of an answer that is none: a 502, or a connection that visibly breaks, and never a whole 200."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.origins import Answered, localpayment, request, said
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from tests.support.scripted_origin import Wire

OK = b"HTTP/1.1 200 OK\r\n"
CL = b"Content-Length: "
TE = b"Transfer-Encoding: "
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"

# Nothing of these may reach a caller: the fault is seen before anything was passed on.
REFUSED = {
    "both framings": OK + CL + b"5\r\n" + TE + b"chunked\r\n\r\n0\r\n\r\n",
    "two lengths": OK + CL + b"5\r\n" + CL + b"6\r\n\r\nhello!",
    "a list of lengths": OK + CL + b"5, 5\r\n\r\nhello",
    "a signed length": OK + CL + b"+5\r\n\r\nhello",
    "a length in hex": OK + CL + b"0x5\r\n\r\nhello",
    "an empty length": OK + CL + b"\r\n\r\nhello",
    "a coding besides chunked": OK + TE + b"gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "an unknown coding": OK + TE + b"identity\r\n\r\nhello",
    "chunked twice": OK + TE + b"chunked\r\n" + TE + b"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + TE + b"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "bad chunks": OK + TE + b"chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "garbage": b"\x00\x01\x02\x03\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/0.9": b"hello\r\n\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "a version of its own": b"HTTP/1.2 200 OK\r\n" + CL + b"5\r\n\r\nhello",
    "a status of words": b"HTTP/1.1 OK\r\n" + CL + b"5\r\n\r\nhello",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n" + CL + b"5\r\n\r\nhello",
    "a status below 100": b"HTTP/1.1 099 OK\r\n" + CL + b"5\r\n\r\nhello",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "a folded field": OK + b"X-A: b\r\n c\r\n" + CL + b"5\r\n\r\nhello",
    "a space before a colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "NUL in a value": OK + b"X-A: b\0c\r\n" + CL + b"5\r\n\r\nhello",
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\n" + CL + b"5\r\n\r\nhello",
    "a name that is no token": OK + b"X(A: b\r\n" + CL + b"5\r\n\r\nhello",
    "an upgrade that nobody asked for": b"HTTP/1.1 101 Now\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "an upgrade beside an answer": OK + b"Upgrade: x\r\nConnection: upgrade\r\n" + TE + b"x\r\n\r\nhello",
    "a flood of interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 9 + OK + CL + b"5\r\n\r\nhello",
    "an interim answer with a body": b"HTTP/1.1 102 Processing\r\n" + CL + b"5\r\n\r\nhello" + OK + CL + b"0\r\n\r\n",
    "an endless head": OK + b"X-A: b\r\n" * 20_000,
    "too many fields": OK + b"".join(b"X-%d: a\r\n" % n for n in range(257)) + CL + b"5\r\n\r\nhello",
}

# Of these a caller gets the beginning, and sees that it is one.
BROKEN = {
    "fewer bytes than declared": (OK + CL + b"50\r\n\r\n", b"hello"),
    "fewer chunks than declared": (OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n", b""),
    "a chunk that lies": (OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n", b"3\r\nlonger\r\n0\r\n\r\n"),
    "a last chunk without its end": (OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n", b"0\r\n"),
    "a framing in the trailers": (OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n", b"0\r\nContent-Length: 5\r\n\r\n"),
    "endless trailers": (OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"X-A: b\r\n" * 20_000),
    "an endless extension": (OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n5", b";a=" + b"b" * 100_000),
}

# These are unusual and whole. What the caller gets, but for the fields that the sidecar adds.
WHOLE: dict[str, tuple[bytes, bytes]] = {
    "trailers": (
        OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    "a body that ends with the connection": (
        OK + b"\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    "HTTP/1.0": (
        b"HTTP/1.0 200 Fine\r\n" + CL + b"5\r\n\r\nhello",
        b"HTTP/1.1 200 Fine\r\n" + CL + b"5\r\n\r\nhello",
    ),
    "no reason": (b"HTTP/1.1 200\r\n" + CL + b"5\r\n\r\nhello", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + CL + b"5\r\n\r\nhello",
        OK + CL + b"5\r\n\r\nhello",
    ),
    "a status that no RFC knows": (
        b"HTTP/1.1 599 Odd\r\n" + CL + b"5\r\n\r\nhello",
        b"HTTP/1.1 599 Odd\r\n" + CL + b"5\r\n\r\nhello",
    ),
    "bytes beyond ASCII, and a field twice": (
        OK + b"X-A: \xe9\xff\r\nx-a: c\r\n" + CL + b"0\r\n\r\n",
        OK + b"X-A: \xe9\xff\r\nx-a: c\r\n" + CL + b"0\r\n\r\n",
    ),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\n" + CL + b"5\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "304 with a length": (
        b"HTTP/1.1 304 Not Modified\r\n" + CL + b"5\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n" + CL + b"5\r\n\r\n",
    ),
    "more than it declares": (OK + CL + b"5\r\n\r\nhello!", OK + CL + b"5\r\n\r\nhello"),
    "a second answer": (OK + CL + b"5\r\n\r\nhello" + SMUGGLED, OK + CL + b"5\r\n\r\nhello"),
    "a second answer behind chunks": (
        OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + SMUGGLED,
        OK + TE + b"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    "a body after 204": (
        b"HTTP/1.1 204 No Content\r\n" + CL + b"5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ),
    "a body after 304": (
        b"HTTP/1.1 304 Not Modified\r\n" + CL + b"5\r\n\r\nhello",
        b"HTTP/1.1 304 Not Modified\r\n" + CL + b"5\r\n\r\n",
    ),
    "hop-by-hop fields": (
        OK + b"Connection: close, X-Hop\r\nX-Hop: b\r\nKeep-Alive: timeout=5\r\n" + CL + b"5\r\n\r\nhello",
        OK + CL + b"5\r\n\r\nhello",
    ),
    "an imitation of our own errors": (
        OK + b"Proxy-Status: localpayment-proxy; error=dns_error, cdn\r\nSet-Cookie: a=b\r\n" + CL + b"0\r\n\r\n",
        OK + b"Proxy-Status: cdn\r\n" + CL + b"0\r\n\r\n",
    ),
}  # fmt: skip

ADDED = re.compile(rb"(X-Request-Id: id-1|Via: 1\.[01] localpayment-proxy|Connection: close)\r\n")


async def answer_to(
    *pieces: bytes, method: str = "POST", stays: bool = False
) -> tuple[Answered, dict[str, object], int]:
    """Let an origin send this; return what the caller got, its log line, and how often the call was sent."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(*pieces)
        if stays:
            await wire.until_end()
        wire.writer.close()

    async with localpayment(script) as there, sidecar(settings_for(there.url, replay_buffer=64)) as relay:
        answer = await said(relay, request(method, "/api/payout", "X-Request-Id: id-1"))
        (line,) = relay.calls
        assert relay.lines("request.failed") == []
        return answer, line, there.calls.count(b"/api/payout HTTP/1.1\r\n")


@pytest.mark.parametrize("stays", [True, False], ids=["origin stays", "origin leaves"])
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_answer_is_a_502_and_the_outcome_unknown(name: str, *, stays: bool) -> None:
    answer, line, sent = await answer_to(REFUSED[name], stays=stays)
    assert (answer.status, answer.problem["code"], answer.problem["outcome"]) == (502, "upstream_malformed", "unknown")
    assert (line["status"], line["outcome"], line["attempts"], sent) == (502, "unknown", 1, 1)


@pytest.mark.parametrize("name", BROKEN)
async def test_what_breaks_off_is_seen_to_break_off(name: str) -> None:
    answer, line, sent = await answer_to(*BROKEN[name])
    assert (answer.status, answer.complete) in {(200, False), (502, True)}
    assert line["outcome"] == ("aborted" if answer.status == 200 else "unknown")
    assert (line["attempts"], sent) == (1, 1)


@pytest.mark.parametrize("name", WHOLE)
async def test_what_is_whole_is_passed_on_as_it_is(name: str) -> None:
    sent, expected = WHOLE[name]
    answer, line, _ = await answer_to(sent)
    assert ADDED.sub(b"", answer.raw) == expected
    assert len(ADDED.findall(answer.raw)) == 3
    assert line["outcome"] == "answered"
    assert answer.complete


async def test_an_answer_to_head_has_no_body_whatever_it_declares() -> None:
    answer, _, _ = await answer_to(OK + CL + b"50\r\n\r\n", method="HEAD", stays=True)
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "50", b"")


async def test_bytes_of_a_body_that_answers_head_are_dropped() -> None:
    answer, _, _ = await answer_to(OK + CL + b"5\r\n\r\nhello", method="HEAD", stays=True)
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", b"")


async def test_an_answer_that_comes_with_its_end_already_cut_is_a_502_and_no_connection_that_only_ends() -> None:
    """Callers repeat, on their own, what got no byte of an answer."""
    answer, line, sent = await answer_to(OK + TE + b"chunked\r\n\r\nzz\r\n", stays=True)
    assert (answer.status, line["outcome"], sent) == (502, "unknown", 1)
