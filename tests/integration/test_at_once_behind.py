"""What a caller sends while its call is under way is kept, in order, and never more than must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.process.memory import Holding as Held
from tests.support.fakes import settle
from tests.support.origins import calling, greeting, until
from tests.support.sent_at_once import HELLO, LAST, ORDER, PAY, READ, Holding, ask, at_rest, in_front_of
from tests.support.sidecars import preheat

if TYPE_CHECKING:
    from tests.support.scripted_origin import Wire

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
MIB = 1024 * 1024
VIRTUAL = "/api/virtual-account/va-1"


@pytest.mark.parametrize("cut", [1, 30, len(LAST) - 1, len(LAST)])
@pytest.mark.parametrize("first", [HELLO, CHUNKED], ids=["at_once", "handed over"])
async def test_the_next_request_is_answered_after_it(first: bytes, cut: int) -> None:
    held = Holding(first)
    async with in_front_of(held) as (there, relay, at_once, caller):
        await caller.send(ask("GET", READ, "X-Request-Id: the-first"))
        await held.begun.wait()
        await caller.send(LAST[:cut])
        await settle()
        assert there.calls.count(b"GET ") == 1
        held.go.set()
        await until(lambda: relay.calls)
        await caller.send(LAST[cut:])
        answers = (await caller.rest()).raw
        assert answers.count(b"HTTP/1.1 200 OK") == 2
        assert answers.index(b"X-Request-Id: the-first") < answers.index(b"X-Request-Id: the-last")
        assert [line["request_id"] for line in relay.calls] == ["the-first", "the-last"]
        assert len(at_once.taken) == (2 if cut == len(LAST) else 1)
        assert there.calls.count(b"GET ") == 2


async def test_what_came_behind_is_carried_once() -> None:
    held = Holding()
    async with in_front_of(held) as (there, relay, at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        await held.begun.wait()
        await caller.send(ask("POST", PAY, body=ORDER))
        await settle()
        held.go.set()
        assert [(await caller.one()).status for _ in range(2)] == [200, 200]
        await caller.send(LAST)
        assert (await caller.rest()).raw.count(b"HTTP/1.1 ") == 1
        assert (there.calls.count(b"POST "), len(relay.calls), len(at_once.taken)) == (2, 3, 3)


async def test_after_one_long_request_behind_it_more_are_read() -> None:
    held = Holding()
    async with in_front_of(held) as (_, relay, at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        await held.begun.wait()
        caller.writer.write(ask("POST", PAY, body=b" " * 66_000))
        connection = at_once.taken[0].connection
        await until(lambda: connection.transport is not None and not connection.transport.is_reading())
        held.go.set()
        assert [(await caller.one()).status for _ in range(2)] == [200, 200]
        await caller.send(LAST)
        assert (await caller.rest()).status == 200
        assert len(relay.calls) == 3


async def test_of_many_requests_behind_it_none_is_lost() -> None:
    held = Holding()
    many = 2000
    async with in_front_of(held) as (there, relay, at_once, caller):
        await caller.send(ask("GET", READ))
        await held.begun.wait()
        caller.writer.write(ask("GET", READ) * many)
        connection = at_once.taken[0].connection
        await until(lambda: connection.transport is not None and not connection.transport.is_reading())
        held.go.set()
        for _ in range(many + 1):
            assert (await caller.one()).body == b"hello"
        assert there.calls.count(b"GET ") == len(relay.calls) == many + 1


async def test_of_much_data_no_more_is_read_and_none_is_lost() -> None:
    held = Holding()
    many = 20
    async with in_front_of(held) as (there, relay, at_once, caller):
        await caller.send(ask("GET", READ))
        await held.begun.wait()
        body = b'{"externalId": "order-1", "comment": "' + b"x" * 300_000 + b'"}'
        caller.writer.write(ask("POST", PAY, body=body) * many)  # far beyond what the kernel takes
        connection = at_once.taken[0].connection
        await until(lambda: connection.transport is not None and not connection.transport.is_reading())
        await settle()
        assert 64 * 1024 < relay.sidecar.memory.held[Held.PIPELINED] < MIB
        held.go.set()
        answers = [await caller.one() for _ in range(many + 1)]
        assert [answer.body for answer in answers] == [b"hello"] * (many + 1)
        assert there.calls.count(body) == many
        await until(lambda: at_rest(relay))
        assert len(relay.calls) == many + 1


async def test_garbage_behind_it_is_refused_after_its_answer_and_carried_nowhere() -> None:
    held = Holding()
    async with in_front_of(held) as (there, _relay, at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        await held.begun.wait()
        await caller.send(b"\x00\x01\x02\r\n\r\n")
        await settle()
        held.go.set()
        assert (await caller.one()).status == 200
        refused = await caller.rest()
        assert (refused.status, refused.problem["code"]) == (400, "bad_request")
        assert (len(at_once.taken), there.calls.count(b"HTTP/1.1\r\n")) == (1, 1)


async def test_what_comes_behind_a_last_request_is_no_request() -> None:
    held = Holding()
    async with in_front_of(held) as (there, relay, _at_once, caller):
        await caller.send(LAST)
        await held.begun.wait()
        await caller.send(ask("POST", PAY, body=ORDER))
        await settle()
        held.go.set()
        assert (await caller.rest()).raw.count(b"HTTP/1.1 ") <= 1  # a reset may overtake it
        await until(lambda: relay.calls)
        assert b"POST" not in there.calls
        assert len(relay.calls) == 1


async def test_an_ordinary_request_behind_one_that_is_handled_waits_for_its_answer() -> None:
    held = Holding()
    async with in_front_of(held) as (there, relay, at_once, caller):
        pool = relay.sidecar.pool
        await preheat(pool, connections=2)
        await caller.send(ask("DELETE", VIRTUAL, "Expect: 100-continue", "X-Request-Id: the-first"))
        await held.begun.wait()
        await caller.send(LAST)
        await settle()
        assert pool.stats().idle == 1  # which would carry it
        assert b"GET " not in there.calls
        held.go.set()
        answers = (await caller.rest()).raw
        assert 0 < answers.index(b"X-Request-Id: the-first") < answers.index(b"X-Request-Id: the-last")
        assert at_once.taken == []


async def test_what_stands_inside_of_a_head_that_has_begun_is_no_request() -> None:
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        await caller.send(b"GET /api/resources/banks HTTP/1.1\r\nX-Note: ")
        await settle()
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).status == 200
        assert at_once.taken == []
        assert there.calls.startswith(b"GET ")
        assert b"\r\nX-Note: POST /api/payout HTTP/1.1\r\n" in there.calls
        await until(lambda: at_rest(relay))


async def test_other_callers_are_served_meanwhile() -> None:
    held = Holding()
    async with in_front_of(held) as (_, relay, at_once, caller):
        await caller.send(ask("GET", READ))
        await held.begun.wait()
        async with calling(relay) as other:
            await other.send(ask("GET", READ))
            await settle()
            held.go.set()
            assert (await other.one()).status == 200
        assert (await caller.one()).status == 200
        assert len(at_once.taken) == 1


async def test_its_connection_takes_ordinary_calls_again_after_one_that_was_handled() -> None:
    """Where the stream of requests stands is known after a request that came whole, and after a body in pieces."""
    held = Holding()
    held.go.set()
    async with in_front_of(held) as (_, relay, at_once, caller):
        payout = ask("POST", PAY, body=ORDER)
        for segments in ((ask("GET", READ, "Expect: 100-continue"),), (payout[:-3], payout[-3:]), (payout,)):
            for segment in segments:
                await caller.send(segment)
                await settle()
            await until(lambda: at_rest(relay))
        await until(lambda: len(relay.calls) == 3)
        assert len(at_once.taken) == 2


async def test_a_caller_that_reads_nothing_gets_its_calls_handed_over_and_then_all_of_its_answers() -> None:
    answer = HELLO.replace(b": 5", b": 60000")[:-5] + b"x" * 60_000

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer)

    async with in_front_of(script) as (_, relay, at_once, caller):
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as write-only
        sent = 0
        while not at_once.handed_over:
            await caller.send(ask("GET", READ))
            sent += 1
            assert sent < 1000
            await until(lambda count=sent: len(relay.calls) == count or at_once.handed_over)  # type: ignore[misc]  # bound at once
        connection = at_once.taken[0].connection
        assert connection.unsent < 2 * len(answer)
        caller.writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        assert [len((await caller.one()).body) for _ in range(sent)] == [60_000] * sent
        await until(lambda: at_rest(relay))
        assert {line["outcome"] for line in relay.calls} == {"answered"}
