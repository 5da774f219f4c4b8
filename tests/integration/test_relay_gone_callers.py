"""A caller that goes away: what is cancelled, what is finished, and what is said of it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.held_calls import DECLINED, PAYOUT, READ, STREAM, Held, slow_egress, the_line
from tests.support.origins import HELLO, calling, greeting, localpayment, request, until
from tests.support.scripted_origin import Wire, server_tls
from tests.support.sidecars import BOUND, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.relay.record import Record


async def test_a_read_ends_upstream_with_its_caller() -> None:
    held = Held()
    waits = {"idle_timeout": 600.0, "response_timeout": 600.0}  # nothing but the caller's end can be what ends it
    async with (
        localpayment(held) as there,
        sidecar(settings_for(there.url, **waits)) as relay,
        calling(relay) as caller,
        asyncio.timeout(BOUND),
    ):
        await caller.send(READ)
        await held.begun.wait()
        caller.leave()
        await there.wires[0].ended.wait()
        line = await the_line(relay)
        assert (line["outcome"], line["status"], line["attempts"]) == ("aborted", 0, 1)


async def test_a_read_ends_upstream_in_the_middle_of_its_answer() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO.replace(b": 5", b": 500"))
        await wire.until_end()

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(READ)
        await caller.until(b"hello")
        caller.leave()
        await there.wires[0].ended.wait()
        line = await the_line(relay)
        assert (line["outcome"], line["status"]) == ("aborted", 200)


async def test_a_call_with_effects_is_finished_without_its_caller_and_its_outcome_told() -> None:
    held = Held(HELLO.replace(b"200 OK", b"201 Created"))
    async with localpayment(held) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(PAYOUT)
        await held.begun.wait()
        caller.leave()
        await until(lambda: relay.sidecar.relay is not None)
        assert relay.value("in_flight_requests") == 1
        held.go.set()
        line = await the_line(relay)
        assert (line["outcome"], line["status"], line["level"]) == ("orphaned", 201, "warning")
        labels = {"operation": "create_payout", "method": "POST", "status": "201"}
        assert relay.value("requests_total", **labels, outcome="orphaned") == 1
        assert there.calls.count(b"POST /api/payout ") == 1


async def test_what_becomes_of_an_orphan_that_gets_no_answer_is_unknown() -> None:
    held = Held(b"garbage\r\n\r\n")
    async with localpayment(held) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(PAYOUT)
        await held.begun.wait()
        caller.leave()
        held.go.set()
        line = await the_line(relay)
        assert (line["outcome"], line["status"], line["code"]) == ("unknown", 0, "upstream_malformed")


@pytest.mark.parametrize("sent", [READ, PAYOUT, STREAM], ids=["read", "held", "streamed"])
async def test_a_call_whose_caller_left_before_there_was_a_connection_is_not_sent(sent: bytes, ca_file: Path) -> None:
    asked = asyncio.Event()
    async with localpayment(greeting, tls=server_tls()) as there, slow_egress(asked) as by_way_of:
        where = settings_for(there.url, egress_proxy=by_way_of, upstream_ca_file=ca_file, replay_buffer=64)
        async with sidecar(where) as relay, calling(relay) as caller:
            await caller.send(sent)
            await asked.wait()
            caller.leave()
            line = await the_line(relay)
            assert (line["outcome"], line["status"], line["attempts"]) == ("not_sent", 0, 1)
        assert there.calls == b""


async def test_a_call_whose_caller_left_before_there_was_a_token_is_not_sent() -> None:
    async with Simulator() as simulator:
        simulator.add_fault(Fault(Kind.HANG, "token", times=None))
        where = settings_for(simulator.url, token_wait=BOUND)
        async with sidecar(where, ready=False) as relay, calling(relay) as caller:
            await caller.send(PAYOUT)
            await until(lambda: relay.value("in_flight_requests"))
            caller.leave()
            line = await the_line(relay)
            assert (line["outcome"], line["attempts"], line["token_generation"]) == ("not_sent", 0, 0)


async def test_a_call_whose_caller_left_in_the_turn_in_which_it_began_is_not_sent() -> None:
    chunks = PAYOUT.replace(b"Connection: close\r\n", b"").partition(b"Content-Length")[0]
    chunks += b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    held = Held()
    async with localpayment(held) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        parts, memory = relay.sidecar.relay.parts, relay.sidecar.memory
        observe = parts.observe

        def lose_the_connection(record: Record) -> None:
            parts.observe = observe
            observe(record)
            (connection,) = relay.sidecar.listener.connections
            assert connection.transport is not None
            asyncio.get_running_loop().call_soon(connection.transport.abort)

        parts.observe = lose_the_connection
        await caller.send(chunks + b"0\r\n\r\n")
        await held.begun.wait()
        before = memory.used
        await caller.send(chunks)
        await until(lambda: memory.used > before)
        held.go.set()
        await until(lambda: len(relay.calls) == 2)
        assert [(line["outcome"], line["attempts"]) for line in relay.calls] == [("answered", 1), ("not_sent", 0)]
        assert relay.lines("request.failed") == []


async def test_a_call_whose_caller_left_in_the_middle_of_a_held_body_is_not_sent() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(PAYOUT[:-5])
        await until(lambda: relay.begun)
        caller.leave()
        line = await the_line(relay)
        assert (line["outcome"], line["attempts"]) == ("not_sent", 0)
        assert there.calls == b""


async def test_a_call_whose_caller_left_in_the_middle_of_a_streamed_body_is_unknown() -> None:
    async with localpayment(Wire.until_end) as there:
        async with sidecar(settings_for(there.url, replay_buffer=64)) as relay, calling(relay) as caller:
            await caller.send(STREAM[:-5])
            await until(lambda: there.wires and there.calls.endswith(b"x" * 100))
            caller.leave()
            line = await the_line(relay)
            assert (line["outcome"], line["status"], line["attempts"]) == ("unknown", 0, 1)
        assert there.calls.count(b"POST /api/payout ") == 1
        assert not there.calls.endswith(b"x" * 4096)


async def test_a_streamed_body_that_has_come_whole_is_sent_whole_without_its_caller() -> None:
    took = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as write-only
        await took.wait()
        wire.writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        await wire.read(100_000)
        await wire.send(HELLO)

    sent = request("POST", "/api/payout", body=b"x" * 100_000)
    async with (
        localpayment(script) as there,
        sidecar(settings_for(there.url, replay_buffer=64)) as relay,
        calling(relay) as caller,
    ):
        await caller.send(sent)
        await until(lambda: there.wires and there.calls)
        await asyncio.sleep(0.05)  # the kernel's and the loop's own time to carry the body over
        caller.leave()
        await asyncio.sleep(0.05)  # and to tell that the caller left
        took.set()
        line = await the_line(relay)
        assert (line["outcome"], line["status"], line["request_bytes"]) == ("orphaned", 200, 100_000)


async def test_a_call_is_not_sent_a_second_time_for_nobody() -> None:
    held = Held(DECLINED)
    async with localpayment(held) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(PAYOUT)
        await held.begun.wait()
        caller.leave()
        await asyncio.sleep(0.05)  # the time in which the loop hears of it
        held.go.set()
        line = await the_line(relay)
        assert (line["outcome"], line["status"], line["attempts"]) == ("orphaned", 401, 1)
        assert there.calls.count(b"POST /api/payout ") == 1


@pytest.mark.parametrize("sent", [READ, PAYOUT, STREAM], ids=["read", "held", "streamed"])
async def test_a_caller_that_was_gone_before_its_call_was_looked_at_has_sent_nothing(sent: bytes, carried: str) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, replay_buffer=64)) as relay:
        where = urlsplit(relay.url)
        with socket.create_connection((where.hostname, where.port)) as caller:
            caller.sendall(sent)  # in one turn of the loop with the end, so that both are seen at once
        line = await the_line(relay)
        if carried == "at_once" and sent == READ:  # the kernel is asked for the sake of calls with effects only
            assert line["outcome"] == "aborted"
            assert b"POST " not in there.calls
        else:
            assert (line["outcome"], line["status"]) == ("not_sent", 0)
            assert there.calls == b""
        assert relay.lines("library.logged") == []


@pytest.mark.parametrize("leaves", [asyncio.StreamWriter.close, asyncio.StreamWriter.write_eof], ids=["all", "sending"])
async def test_of_payouts_behind_one_another_none_is_begun_once_their_caller_has_left(
    leaves: Callable[[asyncio.StreamWriter], None],
) -> None:
    """While one runs, no more is read than must be: the caller's end waits in the kernel when the next one is due."""
    held = Held()
    payout = PAYOUT.replace(b"Connection: close", b"X-Comment: " + b"x" * 5_000)
    async with localpayment(held) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(payout)
        await held.begun.wait()
        await caller.send(payout * 40)
        (connection,) = relay.sidecar.listener.connections
        await until(lambda: connection.transport is not None and not connection.transport.is_reading())
        leaves(caller.writer)
        held.go.set()
        await until(lambda: relay.calls and relay.value("in_flight_requests") == 0)
        await until(relay.sidecar.listener.empty.is_set)
        assert there.calls.count(b"POST /api/payout ") == 1
        assert {line["outcome"] for line in relay.calls[1:]} <= {"not_sent"}


async def test_a_caller_that_sends_and_leaves_at_once_gets_one_outcome_and_no_more_than_one_call() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        for number in range(20):
            async with calling(relay) as caller:
                caller.writer.write(PAYOUT)
                for _ in range(number):
                    await asyncio.sleep(0)
                caller.leave()
        await relay.get("/api/resources/banks")
        await until(lambda: relay.value("in_flight_requests") == 0)
        told = [line["outcome"] for line in relay.calls if line["operation"] == "create_payout"]
        assert there.calls.count(b"POST /api/payout ") == len(told) - told.count("not_sent")
        assert set(told) <= {"not_sent", "orphaned", "answered"}
