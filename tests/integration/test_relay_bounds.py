"""Bounds of memory, time and places, met by callers that ask for more; nothing of what they sent is carried."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.callers import key, policy
from tests.support.origins import Answered, calling, greeting, localpayment, request, said, until
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

KIB = 1024
READ = request("GET", "/api/resources/banks")
POLICY = """
[callers.shop]
key_sha256 = ["{}"]
allow = ["payout"]
[callers.reports]
key_sha256 = ["{}"]
allow = ["payout"]
"""


CHUNKED = request("POST", "/api/payout", "Transfer-Encoding: chunked")


def told(answer: Answered) -> tuple[int, object, object]:
    return answer.status, answer.problem["code"], answer.problem["outcome"]


def payout(size: int, *lines: str) -> bytes:
    return request("POST", "/api/payout", *lines, body=b'"' + b"x" * (size - 2) + b'"')


def long_head(size: int, *lines: str) -> bytes:
    filler = [f"X-Filler: {'x' * (KIB - 12)}"] * (size // KIB)
    return request("GET", "/api/resources/banks", *lines, *filler)


async def test_all_fields_of_a_head_together_are_bounded() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        assert (await said(relay, long_head(60 * KIB))).status == 200
        assert told(await said(relay, long_head(66 * KIB))) == (431, "header_too_large", "rejected")
        assert there.calls.count(b"GET ") == 1
        await until(lambda: not relay.sidecar.memory.used)


async def test_a_caller_that_is_not_known_may_send_a_small_head_only(tmp_path: Path) -> None:
    (shop, shops), (_, reports) = key(), key()
    written = policy(tmp_path, POLICY.format(shops, reports))
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, policy_file=written)) as relay:
        known = f"X-Proxy-Key: {shop}"
        assert told(await said(relay, long_head(9 * KIB, known))) == (431, "header_too_large", "rejected")
        async with calling(relay) as caller:
            await caller.send(request("GET", "/api/resources/banks", known).replace(b"Connection: close\r\n", b""))
            assert (await caller.one()).status == 200
            await caller.send(long_head(60 * KIB, known))
            assert (await caller.rest()).status == 200


@pytest.mark.parametrize(
    ("bound", "changes"),
    [
        ("PROXY_UPLOAD_MIN_RATE", {"header_timeout": 0.2, "upload_min_rate": 1000}),
        ("PROXY_UPLOAD_TIMEOUT", {"upload_timeout": 0.3}),
    ],
)
@pytest.mark.parametrize("begun", [payout(5000)[:-4900], CHUNKED + b"1F4\r\n" + b"x" * 100], ids=["sized", "chunked"])
async def test_a_body_that_trickles_is_cut_and_takes_no_place(
    bound: str, changes: dict[str, Any], begun: bytes
) -> None:
    async with localpayment(greeting) as there:
        settings = settings_for(there.url, max_in_flight=1, **changes)
        async with sidecar(settings) as relay, calling(relay) as slow:
            await slow.send(begun)
            trickling = asyncio.create_task(trickle(slow))
            await until(lambda: relay.sidecar.memory.used)
            assert (await said(relay, payout(100))).status == 200, "the only place is free"
            answer = await slow.rest()
            trickling.cancel()
            assert told(answer) == (408, "slow_request", "rejected")
            assert bound in str(answer.problem["detail"])
            assert there.calls.count(b"POST ") == 1
            await until(lambda: not relay.sidecar.memory.used)


async def trickle(caller: Any) -> None:
    while True:
        await caller.send(b"x")
        await asyncio.sleep(0.02)  # what makes a body slow


@pytest.mark.parametrize("options", [{}, {"chunked": True}], ids=["sized", "chunked"])
async def test_a_body_that_does_not_fit_the_budget_streams(options: dict[str, bool]) -> None:
    body = b"x" * 600_000
    sent = request("POST", "/api/payout", body=body, **options)
    async with localpayment(greeting) as there:
        async with sidecar(settings_for(there.url, memory_budget=512 * KIB)) as relay:
            assert (await said(relay, sent)).status == 200
            assert relay.sidecar.memory.used == 0
        (received,) = [received for received in there.received if b"/api/payout" in received]
        assert re.sub(rb"\r\n[0-9a-f]+\r\n", b"", received.partition(b"\r\n\r\n")[2]).count(b"x") >= len(body) - 16


async def test_what_can_neither_be_held_nor_stream_is_told_that_it_was_not_sent() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, memory_budget=128 * KIB)) as relay:
        answer = await said(relay, payout(600 * KIB))
        assert told(answer) == (503, "overloaded", "not_sent")
        assert "PROXY_MEMORY_BUDGET" in str(answer.problem["detail"])
        assert int(answer.headers["retry-after"]) >= 1
        assert told(await said(relay, READ)) == (503, "overloaded", "not_sent"), "an answer to a read may be large"
        assert (await said(relay, payout(KIB))).status == 200, "payments go on"
        assert there.calls.count(b" /api/") == 1


async def test_bodies_that_come_at_once_and_do_not_fit_together_are_told_that_they_were_not_sent() -> None:
    """Each of them would fit alone."""
    whole = payout(600 * KIB)
    async with localpayment(greeting) as there, contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings_for(there.url, memory_budget=1024 * KIB)))
        callers = [await stack.enter_async_context(calling(relay)) for _ in range(4)]
        for caller in callers:
            await caller.send(whole[:1000])
        await until(lambda: relay.begun == len(callers))
        for caller in callers:
            await caller.send(whole[1000:-1])
        await until(lambda: relay.value("refusals_total", code="overloaded") == 3)
        for caller in callers:
            await caller.send(whole[-1:])
        answers = await asyncio.gather(*(caller.rest() for caller in callers))
        assert sorted(answer.status for answer in answers) == [200, 503, 503, 503]
        assert {told(answer) for answer in answers if answer.status == 503} == {(503, "overloaded", "not_sent")}
        assert relay.sidecar.memory.most <= 1024 * KIB
        assert there.calls.count(b"POST ") == 1
        await until(lambda: not relay.sidecar.memory.used)


async def test_a_held_body_is_counted_until_its_answer_begins() -> None:
    go = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await go.wait()
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(payout(300 * KIB))
        await until(lambda: there.calls.endswith(b'x"'))
        assert relay.value("memory_budget_bytes", kind="bodies") >= 300 * KIB
        go.set()
        assert (await caller.rest()).status == 200
        assert relay.value("memory_budget_bytes", kind="bodies") == 0


@pytest.mark.parametrize("ordinary", [True, False], ids=["ordinary", "parsed"])
async def test_a_caller_that_reads_no_answers_gets_no_more_of_them(ordinary: bool) -> None:  # noqa: FBT001 - a parameter
    """What is refused costs a caller a few bytes, and its answer many."""
    fields = () if ordinary else ("Transfer-Encoding: chunked",)
    refused = request("POST", "/api/token/", *fields).replace(b"Connection: close\r\n", b"")
    refused += b"" if ordinary else b"0\r\n\r\n"
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        async with calling(relay) as caller:
            caller.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001 - StreamReader has no public way
            caller.writer.write(refused * 20_000)
            await until(lambda: relay.unsent > 64 * KIB)
            for _ in range(100):
                assert (await said(relay, READ)).status == 200
                assert relay.unsent < 256 * KIB
            assert relay.value("memory_budget_bytes", kind="answers") >= 64 * KIB
            caller.reader._transport.resume_reading()  # type: ignore[attr-defined]  # noqa: SLF001 - as above
            for _ in range(20_000):
                assert (await caller.one()).status == 403
        await until(lambda: not relay.sidecar.memory.used)


async def test_one_caller_leaves_places_to_another(tmp_path: Path) -> None:
    (shop, shops), (reports, reporters) = key(), key()
    go = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await go.wait()
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    written = policy(tmp_path, POLICY.format(shops, reporters))
    async with localpayment(script) as there:
        settings = settings_for(there.url, policy_file=written, max_in_flight=8)
        async with sidecar(settings) as relay:
            greedy = [asyncio.create_task(said(relay, payout(100, f"X-Proxy-Key: {reports}"))) for _ in range(8)]
            await until(lambda: relay.value("in_flight_requests") == 6 and relay.calls)
            modest = [asyncio.create_task(said(relay, payout(100, f"X-Proxy-Key: {shop}"))) for _ in range(2)]
            await until(lambda: relay.value("in_flight_requests") == 8)
            await until(lambda: there.calls.count(b"POST /api/payout ") == 8)  # each has a connection of its own
            go.set()
            assert [answer.status for answer in await asyncio.gather(*modest)] == [200, 200]
            assert sorted(answer.status for answer in await asyncio.gather(*greedy)) == [200] * 6 + [503] * 2
            assert relay.value("caller_refusals_total", caller="reports", code="overloaded") == 2


async def silent_at_admin(relay: Running, count: int) -> list[asyncio.StreamWriter]:
    port = int(relay.sidecar.admin_url.rpartition(":")[2])
    return [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(count)]


async def test_silent_connections_keep_nobody_from_the_admin_listener() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        silent = await silent_at_admin(relay, 120)
        assert (await relay.admin("/readyz"))[0] == 200
        _, metrics = await relay.admin("/metrics")
        (connections,) = re.findall(r'caller_connections\{listener="admin"\} (\S+)', metrics)
        assert float(connections) <= 64
        assert relay.value("admin_connections_ended_total") >= 56
        for writer in silent:
            writer.close()


async def test_scrapes_beyond_a_few_a_second_get_what_was_read_last() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        seen = set()
        for _ in range(20):
            await said(relay, READ)
            _, metrics = await relay.admin("/metrics")
            seen.add(re.findall(r"request_duration_seconds_count\{operation=\"list_banks\"\} (\S+)", metrics)[0])
        assert len(seen) < 20


@pytest.mark.parametrize("sent", [CHUNKED + b"1F40\r\n" + b"x" * 8000 + b"\r\n0\r\n\r\n", long_head(60 * KIB)])
async def test_a_connection_that_is_kept_after_its_answer_is_charged_nothing(sent: bytes) -> None:
    kept = sent.replace(b"Connection: close\r\n", b"")
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(kept)
        assert (await caller.one()).status == 200
        await until(lambda: not relay.begun)
        assert relay.sidecar.memory.used == 0
        await caller.send(kept)
        assert (await caller.one()).status == 200


@pytest.mark.parametrize("count", [4, 12, 40])
@pytest.mark.parametrize("size", [6 * KIB, 24 * KIB, 48 * KIB])
async def test_requests_that_are_sent_ahead_are_all_answered_however_large_their_heads(count: int, size: int) -> None:
    sent = long_head(size).replace(b"Connection: close\r\n", b"")
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        sending = asyncio.create_task(caller.send(sent * count))
        assert [(await caller.one()).status for _ in range(count)] == [200] * count
        await sending
        await until(lambda: not relay.begun)
        assert relay.sidecar.memory.used == 0


async def test_no_more_is_held_of_requests_sent_ahead_than_their_bound() -> None:
    count, go = 200, asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await go.wait()
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    filler = [f"X-Filler: {'x' * (KIB - 12)}"] * 48
    sent = request("POST", "/api/payout", *filler, body=b"{}").replace(b"Connection: close\r\n", b"")
    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        sending = asyncio.create_task(caller.send(sent * count))
        await until(lambda: relay.value("in_flight_requests"))
        (connection,) = relay.sidecar.listener.connections
        await until(lambda: connection.transport is not None and not connection.transport.is_reading())
        assert relay.sidecar.memory.used < 700 * KIB
        go.set()
        assert [(await caller.one()).status for _ in range(count)] == [200] * count
        await sending
