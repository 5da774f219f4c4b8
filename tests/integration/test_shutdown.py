"""How a sidecar that was told to stop ends: in which order, until when, and what it says of calls that it cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.held_calls import DECLINED, Held
from tests.support.origins import HELLO, calling, localpayment, request, until
from tests.support.owned_clock import OwnedClock
from tests.support.processes import BOUND
from tests.support.serving import Served, serving
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.origins import Caller, Localpayment
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running as RunningSidecar

READ = request("GET", "/api/resources/banks")
PAYOUT = request("POST", "/api/payout", body=b'{"externalId": "order-1"}')
STREAM = request("POST", "/api/payout", body=b"x" * 4096)
TIMEOUT = "1s"
ALL_CUT = {"list_banks": ("unknown", 502), "create_payout": ("unknown", 502), "create_payin": ("not_sent", 0)}


async def status(url: str) -> int:
    """The status that `/readyz` and `/livez` are answered with."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(f"GET {where.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(BOUND):
        answer = await reader.read()
    writer.close()
    return int(answer.split(b" ")[1])


async def until_nobody_listens(url: str) -> None:
    where = urlsplit(url)
    with contextlib.suppress(ConnectionRefusedError):
        async with asyncio.timeout(BOUND):
            while True:
                _, writer = await asyncio.open_connection(where.hostname, where.port)
                writer.close()
                await asyncio.sleep(0.02)


def closed(relay: RunningSidecar) -> bool:
    """Whether the data listener is; asyncio itself would lose a connection that came meanwhile, with a warning."""
    runner = relay.sidecar._data._runner  # noqa: SLF001 - a connection that is tried would be lost with a warning, or taken
    return runner is not None and not runner.sites


async def test_readiness_ends_first_then_the_listener_then_calls_then_the_process() -> None:
    held = Held()
    async with localpayment(held) as there, serving(there, PROXY_DRAIN_DELAY="1s") as served:
        async with calling(served) as idle, calling(served) as caller:
            await caller.send(PAYOUT)
            await held.begun.wait()
            served.process.send(signal.SIGTERM)
            await served.process.says("drain.started")
            assert await status(f"{served.admin_url}/readyz") == 503
            async with calling(served) as late:
                assert not late.reader.at_eof(), "calls are taken for as long as PROXY_DRAIN_DELAY says"
            await until_nobody_listens(served.url)
            assert (await idle.rest()).raw == b"", "who waits for nothing is sent away"
            assert await status(f"{served.admin_url}/livez") == 200
            held.go.set()
            assert (await caller.rest()).status == 200
        finished = await served.process.finished()
    assert (finished.code, finished.err) == (0, "")
    events = [json.loads(line)["event"] for line in finished.out.splitlines()]
    told = ["drain.started", "request.relayed", "sidecar.stopped"]
    assert [event for event in events if event in told] == told


async def test_a_drain_that_takes_too_long_fails_and_says_what_became_of_each_call() -> None:
    async with (
        localpayment(Held()) as there,
        serving(there, PROXY_DRAIN_TIMEOUT=TIMEOUT) as served,
        three_calls(served, there) as callers,
    ):
        served.process.send(signal.SIGTERM)
        finished = await served.process.finished()
        await check_callers(*callers)
    assert finished.code == 1
    assert [line["in_flight"] for line in served.lines("drain.timed_out")] == [3]
    assert [line["clean"] for line in served.lines("sidecar.stopped")] == [False]
    check_lines(served)


async def test_a_second_signal_ends_it_at_once_and_says_what_became_of_each_call() -> None:
    async with (
        localpayment(Held()) as there,
        serving(there) as served,
        three_calls(served, there) as callers,
    ):
        served.process.send(signal.SIGTERM)
        await served.process.says("drain.started")
        finished = await served.process.stopped(signal.SIGTERM)
        await check_callers(*callers)
    assert finished.code == 1
    assert [line["in_flight"] for line in served.lines("sidecar.killed")] == [3]
    check_lines(served)


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
async def test_a_connection_without_a_call_ends_although_others_have_one(*, used: bool) -> None:
    async with busy() as (relay, held), calling(relay) as idle:
        if used:
            await idle.send(b"GET /api/token/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await idle.one()).status == 403
        ending = asyncio.create_task(relay.sidecar.drain())
        assert (await idle.rest()).raw == b"", "it is not left open with nobody who reads from it"
        assert not ending.done()
        held.go.set()
        assert await ending


@pytest.mark.parametrize(
    ("call", "sent"),
    [(READ, 20), (PAYOUT, len(PAYOUT) - 5), (STREAM, len(STREAM) - 5)],
    ids=["head", "body that is held", "body that streams"],
)
async def test_a_call_of_which_its_caller_still_owes_a_part_is_finished(call: bytes, sent: int) -> None:
    async with busy() as (relay, held), calling(relay) as slow:
        await slow.send(call[:sent])
        await until(lambda: call is READ or relay.sidecar.in_flight == 2)
        ending = asyncio.create_task(relay.sidecar.drain())
        await until(lambda: closed(relay))
        await slow.send(call[sent:])
        held.go.set()
        answer = await slow.rest()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await ending


async def test_an_answer_that_had_begun_is_its_connections_last() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO[:-1])
        begun.set()
        await go.wait()
        await wire.send(HELLO[-1:])

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(READ.replace(b"Connection: close\r\n", b""))
        raw = await caller.until(b"hell")
        ending = asyncio.create_task(relay.sidecar.drain())
        await until(lambda: closed(relay))
        go.set()
        answer = await caller.rest(raw)
        assert (answer.status, answer.body) == (200, b"hello")
        assert await ending


async def test_the_token_is_renewed_until_the_last_call_has_ended() -> None:
    held, clock = Held(), OwnedClock(wall=time.time())
    async with (
        localpayment(held) as there,
        sidecar(settings_for(there.url, drain_timeout=BOUND), clock=clock) as relay,
        calling(relay) as caller,
    ):
        await caller.send(PAYOUT)
        await held.begun.wait()
        draining = asyncio.create_task(relay.sidecar.drain())
        await until(lambda: relay.sidecar.health.draining)
        assert relay.value("token_fetches_total", grant="refresh_token", result="granted") == 0
        await clock.advance(200)  # seconds, of the 300 that a token lives: it was due after 180 at the latest
        await until(lambda: relay.value("token_fetches_total", grant="refresh_token", result="granted") == 1)
        assert not draining.done()
        held.go.set()
        assert (await caller.rest()).status == 200
        assert await draining


async def test_a_call_that_meets_a_dead_token_during_the_drain_still_gets_a_newer_one() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        begun.set()
        await go.wait()
        await wire.send(DECLINED)
        await wire.request()
        await wire.send(HELLO)

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(PAYOUT)
        await begun.wait()
        draining = asyncio.create_task(relay.sidecar.drain())
        await until(lambda: relay.sidecar.health.draining)
        go.set()
        assert (await caller.rest()).status == 200
        assert await draining
        (line,) = relay.calls
        assert (line["outcome"], line["attempts"]) == ("answered", 2)


@contextlib.asynccontextmanager
async def busy() -> AsyncIterator[tuple[RunningSidecar, Held]]:
    """A sidecar with a call that has no answer before `held.go` is set."""
    held = Held()
    async with (
        localpayment(held) as there,
        sidecar(settings_for(there.url, replay_buffer=64, drain_timeout=BOUND)) as relay,
        calling(relay) as caller,
    ):
        await caller.send(PAYOUT)
        await held.begun.wait()
        yield relay, held


@contextlib.asynccontextmanager
async def three_calls(served: Served, there: Localpayment) -> AsyncIterator[tuple[Caller, Caller, Caller]]:
    """A read and a payout at Localpayment, and a payin of which the caller still owes the end."""
    async with calling(served) as read, calling(served) as payout, calling(served) as unsent:
        await read.send(READ)
        await payout.send(PAYOUT)
        await unsent.send(PAYOUT.replace(b"/api/payout", b"/api/payin")[:-5])
        await until(lambda: there.calls.count(b"GET /api/resources/banks") and there.calls.count(b"order-1"))
        await until_counted(served, b"in_flight_requests 2.0", b"uploading_requests 1.0")
        yield read, payout, unsent


async def until_counted(served: Served, *counts: bytes) -> None:
    where = urlsplit(served.admin_url)
    async with asyncio.timeout(BOUND):
        while True:
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            told = await reader.read()
            writer.close()
            if all(b"localpayment_proxy_%b\n" % count in told for count in counts):
                return
            await asyncio.sleep(0.02)


async def check_callers(read: Caller, payout: Caller, unsent: Caller) -> None:
    """Each caller is told what its own line says, as far as it can still be told anything."""
    for caller in (read, payout):
        answer = await caller.rest()
        assert (answer.status, answer.problem["outcome"]) == (502, "unknown")
    assert (await unsent.rest()).status in (0, 503)


def check_lines(served: Served) -> None:
    lines = served.lines("request.relayed") + served.lines("request.refused")
    assert {line["operation"]: (line["outcome"], line["status"]) for line in lines} == ALL_CUT
