"""Requests that are fine, and how a connection goes on after them: pipelines, invitations, old and hopeful callers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.origins import HELLO, calling, greeting, localpayment, said
from tests.sidecars import settings_for, sidecar
from tests.wire_requests import H2C, HOST, get, post

if TYPE_CHECKING:
    from tests.integration.test_upstream_harness import Wire

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
async def test_bytes_that_the_parser_loses_behind_an_offer_of_http_2_cost_the_connection(
    behind: str, body: tuple[bytes, ...]
) -> None:
    """aiohttp drops them, so that a request behind them would begin in its middle."""
    first = post(*H2C, *body, body=b"ab" if body else b"")
    second = post(b"Content-Length: 100", body=b"x" * 40)
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        if behind == "in one write":
            await caller.send(first + second)
        else:
            await caller.send(first[:-3])
            await asyncio.sleep(0)
            await caller.send(first[-3:] + second)
        answer = await caller.rest()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert answer.body == b"hello"
        assert there.calls.count(b"POST /api/x HTTP/1.1\r\n") == 1


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
