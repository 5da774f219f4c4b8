"""Requests that are fine, and how a connection goes on after them: pipelines, invitations, old and hopeful callers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.origins import HELLO, calling, greeting, localpayment, said
from tests.support.sidecars import settings_for, sidecar
from tests.support.wire_requests import H2C, HOST, REFUSED, get, post

if TYPE_CHECKING:
    from tests.support.scripted_origin import Wire

INVITATION = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECT = b"Expect: 100-continue"
WHERE = pytest.mark.parametrize("behind", ["in one write", "in a write of its own"])


async def test_requests_sent_at_once_are_answered_one_after_the_other() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(b"".join(get(b"/api/%d" % number) for number in range(20)))
        for _ in range(20):
            assert (await caller.one()).status == 200
        order = [line.split()[1] for line in there.calls.split(b"\r\n") if line.startswith(b"GET ")]
        assert order == [b"/api/%d" % number for number in range(20)]
        assert len(there.wires) == 1
        assert len({line["request_id"] for line in relay.calls}) == 1  # the caller's own
        assert len(relay.calls) == 20


async def test_a_pipeline_that_its_caller_left_is_not_worked_off() -> None:
    begun = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        begun.set()
        await wire.until_end()

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(get(b"/api/resources/banks") + post(b"Content-Length: 2", body=b"ab"))
        await begun.wait()
        caller.leave()
        await there.wires[0].ended.wait()
        assert b"POST" not in there.calls


async def test_an_expecting_caller_is_asked_for_its_body_only_when_the_call_may_be_sent() -> None:
    body = post(EXPECT, b"Content-Length: 2", body=b"")
    async with localpayment(greeting) as there:
        async with sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
            await caller.send(body)
            assert await caller.until(b"\r\n\r\n") == INVITATION
            assert there.calls == b""
            await caller.send(b"ab")
            assert (await caller.one()).status == 200
            assert b"expect" not in there.calls.lower()
        async with sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
            await caller.send(body.replace(b"/api/x", b"/api/token/"))
            answer = await caller.rest()
            assert (answer.status, answer.headers["connection"]) == (403, "close")
            assert not answer.raw.startswith(INVITATION)


async def test_an_expecting_caller_is_not_asked_while_there_is_no_token() -> None:
    async with Simulator() as simulator:
        simulator.add_fault(Fault(Kind.STATUS, "token", times=None, status=503))
        without = settings_for(simulator.url, token_wait=0.1)
        async with sidecar(without, ready=False) as relay, calling(relay) as caller:
            await caller.send(post(EXPECT, b"Content-Length: 2"))
            answer = await caller.rest()
            assert (answer.status, answer.problem["code"]) == (503, "token_unavailable")
            assert not answer.raw.startswith(INVITATION)


async def test_a_body_that_came_without_waiting_needs_no_invitation() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(post(EXPECT, b"Content-Length: 2", body=b"ab"))
        assert not (await caller.one()).raw.startswith(INVITATION)


@pytest.mark.parametrize(
    ("lines", "stays"),
    [((), False), ((b"Connection: keep-alive",), True), ((b"Connection: close",), False)],
    ids=["silent", "keep-alive", "close"],
)
async def test_a_caller_of_http_1_0_keeps_its_connection_only_if_it_asks(
    lines: tuple[bytes, ...], *, stays: bool
) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(get(b"/api/x", b"HTTP/1.0", *lines))
        answer = await caller.one()
        assert answer.headers["connection"] == ("keep-alive" if stays else "close")
        if stays:
            await caller.send(get(b"/api/x", b"HTTP/1.0"))
        assert (await caller.rest()).raw.endswith(b"hello" if stays else b"")


async def test_a_caller_of_http_1_0_gets_chunks_as_a_body_that_ends_with_the_connection() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        await wire.until_end()

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, get(b"/api/x", b"HTTP/1.0", b"Connection: keep-alive"))
        assert "transfer-encoding" not in answer.headers
        assert (answer.headers["connection"], answer.body, answer.reset) == ("close", b"hello", False)


async def test_a_cut_answer_is_seen_to_be_cut_even_by_a_caller_of_http_1_0() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        wire.cut()

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, get(b"/api/x", b"HTTP/1.0"))
        assert answer.reset


async def test_an_answer_of_our_own_ends_the_connection_of_a_caller_of_http_1_0() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, get(b"/api/token/", b"HTTP/1.0", b"Connection: keep-alive"))
        assert (answer.status, answer.headers["connection"], answer.complete) == (403, "close", True)


@pytest.mark.parametrize("body", [(), (b"Content-Length: 2",)], ids=["without a body", "with a body"])
async def test_a_java_caller_that_offers_http_2_keeps_its_connection(body: tuple[bytes, ...]) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        for number in range(3):
            await caller.send(post(*H2C, *body, body=b"ab" if body else b""))
            answer = await caller.one()
            assert (answer.status, "connection" in answer.headers) == (200, False), number
        assert there.calls.count(b"POST /api/x HTTP/1.1\r\n") == 3
        assert b"pgrade" not in there.calls
        assert b"settings" not in there.calls.lower()


@WHERE
@pytest.mark.parametrize("body", [(), (b"Content-Length: 2",)], ids=["without a body", "with a body"])
async def test_what_comes_behind_an_offer_of_http_2_is_the_next_request_and_nothing_of_it_is_lost(
    behind: str, body: tuple[bytes, ...]
) -> None:
    """aiohttp's server alone drops such bytes, so that a request behind them would begin in its middle."""
    first = post(*H2C, *body, body=b"ab" if body else b"")
    second = post(b"Content-Length: 100", body=b"x" * 40)
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        if behind == "in one write":
            await caller.send(first + second)
        else:
            await caller.send(first[:-3])
            await asyncio.sleep(0)
            await caller.send(first[-3:] + second)
        assert (await caller.one()).body == b"hello"
        assert there.calls.count(b"POST /api/x HTTP/1.1\r\n") == 1
        await caller.send(b"y" * 60)
        assert (await caller.one()).status == 200
        assert there.calls.endswith(b"Content-Length: 100\r\n\r\n" + b"x" * 40 + b"y" * 60)


@pytest.mark.parametrize("name", ["bare line feeds", "NUL in a value", "an invented method", "chunked behind a comma"])
@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize("at_once", [True, False])
async def test_good_requests_before_a_broken_one_get_their_answers(name: str, count: int, *, at_once: bool) -> None:
    sent, expected = REFUSED[name]
    good = post(b"Transfer-Encoding: chunked", body=b"2\r\nab\r\n0\r\n\r\n") + get(b"/api/good")
    wire = good * count + sent + get(b"/api/after")
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        for at in range(0, len(wire), len(wire) if at_once else 7):
            await caller.send(wire[at : at + (len(wire) if at_once else 7)])
        for _ in range(2 * count):
            assert (await caller.one()).body == b"hello"
        refusal = await caller.rest()
        assert (refusal.status, refusal.problem["code"]) == expected
        assert refusal.headers["connection"] == "close"
        assert refusal.raw.count(b"Proxy-Status: ") == 1
        assert (there.calls.count(b"POST /api/x "), there.calls.count(b"GET /api/good ")) == (count, count)
        assert b"/api/after" not in there.calls


async def test_a_request_whose_body_breaks_in_the_same_piece_is_refused_once_and_not_sent() -> None:
    wire = get(b"/api/good") + post(b"Transfer-Encoding: chunked", body=b"2\r\nab\r\nzz\r\n") + get(b"/api/after")
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(wire)
        assert (await caller.one()).body == b"hello"
        refusal = await caller.rest()
        assert (refusal.status, refusal.problem["code"], refusal.raw.count(b"Proxy-Status: ")) == (
            400,
            "bad_request",
            1,
        )
        assert there.calls.count(b"HTTP/1.1\r\n") == 1


# OPTIONS and how far it may go


def options(*lines: bytes) -> bytes:
    return get(b"/api/x", b"HTTP/1.1", *lines).replace(b"GET", b"OPTIONS")


async def test_options_that_may_go_no_further_are_answered_here() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        for _ in range(2):
            await caller.send(options(b"Max-Forwards: 0"))
            answer = await caller.one()
            assert (answer.status, answer.body) == (204, b"")
            assert answer.headers["allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
            assert "content-length" not in answer.headers
        assert there.calls == b""
        line = relay.calls[0]
        assert (line["event"], line["status"], line["code"]) == ("request.refused", 204, None)


@pytest.mark.parametrize(("sent", "arrives"), [(b"1", b"0"), (b"007", b"6"), (b"1000", b"999"), (b"9" * 30, b"999")])
async def test_options_that_may_go_further_go_with_one_time_less(sent: bytes, arrives: bytes) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        assert (await said(relay, options(b"max-forwards: " + sent, b"Connection: close"))).status == 200
        assert b"\r\nmax-forwards: " + arrives + b"\r\n" in there.calls


@pytest.mark.parametrize("value", [b"", b"-1", b"x", b"1, 0", b"+1"])
async def test_options_with_a_limit_that_is_no_number_are_refused(value: bytes) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, options(b"Max-Forwards: " + value, b"Connection: close"))
        assert (answer.status, answer.problem["code"]) == (400, "bad_request")
        assert there.calls == b""


async def test_for_other_methods_the_limit_says_nothing() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, get(b"/api/x", b"HTTP/1.1", b"Max-Forwards: 0", b"Connection: close"))
        assert answer.status == 200
        assert b"Max-Forwards: 0\r\n" in there.calls


async def test_a_body_may_come_in_pieces_and_arrives_as_one() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(post(b"Content-Length: 10"))
        for number in range(10):
            await caller.send(b"%d" % number)
            await asyncio.sleep(0)
        assert (await caller.one()).status == 200
        assert there.calls.endswith(b"Content-Length: 10\r\n\r\n0123456789")


async def test_an_early_answer_ends_the_connection_whose_request_goes_on() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(HELLO.replace(b"200 OK", b"413 Content Too Large"))
        await wire.until_end()

    async with (
        localpayment(script) as there,
        sidecar(settings_for(there.url, replay_buffer=8)) as relay,
        calling(relay) as caller,
    ):
        await caller.send(post(b"Content-Length: 100", body=b"0123456789"))
        answer = await caller.rest()
        assert (answer.status, answer.headers["connection"], answer.body) == (413, "close", b"hello")
        (line,) = relay.calls
        assert (line["outcome"], line["status"], line["code"]) == ("answered", 413, None)
        caller.leave()


async def test_a_request_without_a_connection_field_leaves_the_connection_open() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        for _ in range(3):
            await caller.send(get(host=HOST))
            assert "connection" not in (await caller.one()).headers
        assert len(there.wires) == 1
