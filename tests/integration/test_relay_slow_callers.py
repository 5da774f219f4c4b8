"""Callers that are slow, or send too much: cut in time, told why, and no harm to others."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.origins import Answered, Caller, calling, greeting, localpayment, request, said
from tests.support.scripted_origin import Wire
from tests.support.sidecars import BOUND, settings_for, sidecar
from tests.support.wire_requests import CL, HOST, TE, get

PAYOUT = b"POST /api/payout HTTP/1.1\r\n" + HOST
CHUNKED = PAYOUT + TE + b"chunked\r\n\r\n"
MIB = 1024 * 1024
LONG = 600.0  # seconds; a wait of the sidecar's that no test lives to see end


def code(answer: Answered) -> tuple[int, object, object]:
    return answer.status, answer.problem["code"], answer.problem["outcome"]


async def test_while_a_head_does_not_end_others_are_served() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, header_timeout=LONG)) as relay:
        async with calling(relay) as slow, calling(relay) as quick:
            await slow.send(get()[:-2])
            await quick.send(get())
            assert (await quick.one()).status == 200
            assert len(relay.calls) == 1
        assert there.calls.count(b"GET ") == 1


async def test_a_head_that_does_not_end_is_cut() -> None:
    waits = {"header_timeout": 0.1, "idle_timeout": LONG, "response_timeout": LONG}
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, **waits)) as relay:
        async with calling(relay) as slow:
            await slow.send(get()[:-2])
            assert code(await slow.rest()) == (408, "slow_request", "rejected")
        assert there.calls == b""


async def test_a_head_that_trickles_does_not_buy_time() -> None:
    async with (
        localpayment(greeting) as there,
        sidecar(settings_for(there.url, header_timeout=0.2)) as relay,
        calling(relay) as slow,
    ):
        trickling = asyncio.create_task(trickle(slow, get() * 100))
        assert code(await slow.rest()) == (408, "slow_request", "rejected")
        trickling.cancel()


async def trickle(caller: Caller, data: bytes) -> None:
    for at in range(len(data)):
        await caller.send(data[at : at + 1])
        await asyncio.sleep(0.02)  # what makes a head slow


async def test_the_head_of_a_later_request_has_its_own_time() -> None:
    async with (
        localpayment(greeting) as there,
        sidecar(settings_for(there.url, header_timeout=0.2)) as relay,
        calling(relay) as caller,
    ):
        await caller.send(get())
        assert (await caller.one()).status == 200
        await asyncio.sleep(0.3)  # longer than a head may take: idling is free
        await caller.send(get())
        assert (await caller.one()).status == 200
        await caller.send(get()[:-2])
        assert code(await caller.rest()) == (408, "slow_request", "rejected")


@pytest.mark.parametrize("before", [b"", get(), CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"], ids=["fresh", "used", "chunked"])
@pytest.mark.parametrize("lines", [b"\r\n", b"\n", b"\r\n\r\n"])
async def test_empty_lines_between_requests_are_ignored_and_begin_none(before: bytes, lines: bytes) -> None:
    """RFC 9112 section 2.2; old clients send one behind a body."""
    async with (
        localpayment(greeting) as there,
        sidecar(settings_for(there.url, header_timeout=0.1)) as relay,
        calling(relay) as caller,
    ):
        if before:
            await caller.send(before)
            assert (await caller.one()).status == 200
        await caller.send(lines)
        await asyncio.sleep(0.3)  # longer than a head may take
        await caller.send(get())
        assert (await caller.one()).status == 200
        assert len(relay.calls) == bool(before) + 1


async def test_a_head_that_begins_behind_an_empty_line_has_its_time() -> None:
    async with (
        localpayment(greeting) as there,
        sidecar(settings_for(there.url, header_timeout=0.1)) as relay,
        calling(relay) as caller,
    ):
        await caller.send(b"\r\n")
        await caller.send(b"\r\nGET /api/res")
        assert code(await caller.rest()) == (408, "slow_request", "rejected")


async def test_a_connection_made_ahead_of_its_first_request_is_kept() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, header_timeout=0.1)) as relay:
        async with calling(relay) as caller:
            await asyncio.sleep(0.3)  # longer than a head may take
            await caller.send(get())
            assert (await caller.one()).status == 200
        assert len(relay.calls) == 1


async def test_a_held_body_that_stops_coming_is_refused_and_nothing_was_sent() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, idle_timeout=0.1)) as relay:
        async with calling(relay) as caller:
            await caller.send(PAYOUT + CL + b"10\r\n\r\n12345")
            assert code(await caller.rest()) == (408, "slow_request", "rejected")
        assert there.calls == b""


@pytest.mark.parametrize("begun", [PAYOUT + CL + b"100\r\n\r\n" + b"x" * 50, CHUNKED + b"32\r\n" + b"x" * 50 + b"\r\n"])
async def test_a_streamed_body_that_stops_coming_leaves_the_outcome_unknown(begun: bytes) -> None:
    async with localpayment(Wire.until_end) as there:
        where = settings_for(there.url, idle_timeout=0.2, replay_buffer=16)
        async with sidecar(where) as relay, calling(relay) as caller:
            await caller.send(begun)
            answer = await caller.rest()
            assert code(answer) == (408, "slow_request", "unknown")
            await there.wires[0].ended.wait()
            (line,) = relay.calls
            assert (line["outcome"], line["request_bytes"], line["attempts"]) == ("unknown", 50, 1)
        assert there.calls.count(b"POST /api/payout") == 1


async def test_a_slow_body_that_keeps_coming_is_taken() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, idle_timeout=0.3)) as relay:
        async with calling(relay) as caller:
            await caller.send(PAYOUT + CL + b"20\r\n\r\n")
            await trickle(caller, b"x" * 20)
            assert (await caller.one()).status == 200
        (line,) = relay.calls
        assert line["own_ms"] < line["total_ms"] / 2


async def test_a_body_that_declares_too_much_is_refused_unread_and_uninvited() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, max_request_body=1000)) as relay:
        async with calling(relay) as caller:
            await caller.send(PAYOUT + b"Expect: 100-continue\r\n" + CL + b"1001\r\n\r\n")
            answer = await caller.rest()
            assert code(answer) == (413, "body_too_large", "rejected")
        assert there.calls == b""


@pytest.mark.parametrize(
    ("hold", "outcome", "sent"), [(4096, "rejected", 0), (16, "unknown", 1)], ids=["held", "streamed"]
)
async def test_a_body_that_grows_too_large_is_refused_on_its_way(hold: int, outcome: str, sent: int) -> None:
    async with localpayment(Wire.until_end) as there:
        where = settings_for(there.url, max_request_body=1000, replay_buffer=hold)
        async with sidecar(where) as relay, calling(relay) as caller:
            for _ in range(5):
                await caller.send((CHUNKED if _ == 0 else b"") + b"fa\r\n" + b"x" * 250 + b"\r\n")
                await asyncio.sleep(0.01)  # so that each chunk is a piece of its own
            assert code(await caller.rest()) == (413, "body_too_large", outcome)
        assert there.calls.count(b"POST /api/payout") == sent
        assert not there.calls.endswith(b"0\r\n\r\n")


async def test_a_body_as_large_as_allowed_is_not_too_large() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, max_request_body=1000)) as relay:
        assert (await said(relay, request("POST", "/api/payout", body=b"x" * 1000))).status == 200


@pytest.mark.parametrize("hold", [1024, 16], ids=["held", "streamed"])
async def test_a_body_that_breaks_its_framing_is_refused_at_once(hold: int) -> None:
    async with localpayment(Wire.until_end) as there:
        where = settings_for(there.url, replay_buffer=hold, idle_timeout=LONG, response_timeout=LONG)
        async with sidecar(where) as relay, calling(relay) as caller:
            await caller.send(CHUNKED + b"32\r\n" + b"x" * 50 + b"\r\n")
            await asyncio.sleep(0.05)  # so that the relay waits for what follows
            await caller.send(b"zz\r\n" + get())
            answer = await caller.rest()
            assert code(answer) == (400, "bad_request", "rejected" if hold > 50 else "unknown")
        assert b"GET" not in there.calls


async def test_a_body_that_breaks_its_framing_while_it_waits_behind_another_call_is_refused_at_its_turn() -> None:
    held = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await held.wait()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await wire.until_end()

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(get() + CHUNKED + b"2\r\nab\r\n")
        await asyncio.sleep(0.05)  # so that the second request waits
        await caller.send(b"zz\r\n")
        held.set()
        assert (await caller.one()).status == 200
        assert code(await caller.rest()) == (400, "bad_request", "rejected")
        assert b"POST" not in there.calls


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"x" * MIB, 414),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"x" * MIB, 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\r\n" * (MIB // 8), 431),
        (b"\x16\x03\x01" + bytes(MIB), 400),
    ],
    ids=["target", "field", "fields", "garbage"],
)
async def test_a_caller_that_sends_a_lot_of_nonsense_gets_to_read_why_it_is_refused(sent: bytes, status: int) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        sending = asyncio.create_task(caller.send(sent))
        answer = await caller.rest()
        assert (answer.status, answer.complete, answer.reset) == (status, True, False)
        await sending
        assert len(relay.calls) == 1
        assert there.calls == b""


async def test_a_caller_that_never_stops_sending_is_cut_after_its_refusal() -> None:
    waits = {"header_timeout": LONG, "idle_timeout": LONG, "response_timeout": LONG}
    async with (
        localpayment(greeting) as there,
        sidecar(settings_for(there.url, **waits)) as relay,
        calling(relay) as caller,
        asyncio.timeout(BOUND),
    ):
        await caller.send(b"\x00")
        while not caller.writer.transport.is_closing():
            await caller.send(bytes(4096))
            await asyncio.sleep(0.05)  # what makes it endless, and not a flood
        assert len(relay.calls) == 1
