"""Which connection a call takes, and when a connection is never used again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace
from typing import Any

import pytest

from proxy.upstream.connecting.connect import connect
from proxy.upstream.model import ConnectResult, FaultKind, Limits, Progress
from tests.support.addresses import answer_names
from tests.support.owned_clock import OwnedClock
from tests.support.scripted_origin import HELLO, At, ScriptedOrigin, Wire, answering, origin, server_tls
from tests.support.tls_server import Server, at, requested, server_context
from tests.support.upstream_pool import ONE, call, check_place_is_free, client_tls, fault_of, get, pool_to, seen, whole

OK = b"HTTP/1.1 200 OK\r\n"
STRAY = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nstray"


async def test_a_second_call_takes_the_first_ones_connection() -> None:
    connects: list[ConnectResult] = []
    async with origin(answering) as served, pool_to(served.at, connects=connects) as pool:
        first = await pool.send(call())
        assert await whole(first) == b"hello"
        second = await pool.send(call(b"POST", b"{}", effects=True))
        assert await whole(second) == b"hello"
        assert (first.timings.reused, second.timings.reused) == (False, True)
        assert pool.stats() == (1, 1, 0)
    assert connects == [ConnectResult.CONNECTED]
    head = b"Host: localhost:%d\r\nAccept: */*\r\n" % served.at.port
    assert served.requests == [
        b"GET /x HTTP/1.1\r\n" + head + b"\r\nPOST /x HTTP/1.1\r\n" + head + b"Content-Length: 2\r\n\r\n{}"
    ]


async def test_what_is_measured_is_what_crossed_the_wire() -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        first, second = await pool.send(call()), None
        await whole(first)
        second = await pool.send(call(b"PUT", b"abc"))
        await whole(second)
        facts = first.timings
        assert facts.response_bytes == len(HELLO)
        assert facts.first_byte_seconds is not None
        assert facts.total_seconds is not None
        assert 0 < facts.first_byte_seconds <= facts.total_seconds
        assert (facts.reused, second.timings.reused) == (False, True)


async def test_the_connection_used_last_is_used_next() -> None:
    both_asked = asyncio.Barrier(2)

    async def script(wire: Wire) -> None:
        await wire.request()
        await both_asked.wait()
        await wire.send(HELLO)
        await answering(wire)

    async with origin(script) as served, pool_to(served.at) as pool:
        old, young = await asyncio.gather(pool.send(call()), pool.send(call()))
        await whole(old)
        await whole(young)
        assert pool.stats() == (2, 2, 0)
        for _ in range(3):
            await get(pool)
        assert sorted(request.count(b"GET") for request in served.requests) == [1, 4]


async def test_a_call_with_effects_does_not_ride_a_connection_that_cooled_but_a_read_does() -> None:
    moment = [100.0]
    async with origin(answering) as served, pool_to(served.at, now=lambda: moment[0]) as pool:
        await get(pool)
        moment[0] += 2.5
        paid = await pool.send(call(b"POST", b"", effects=True))
        assert not paid.timings.reused
        await whole(paid)
        moment[0] += 2.5
        read = await pool.send(call())
        assert read.timings.reused
        await whole(read)
        assert [request.count(b"POST") for request in served.requests] == [0, 1]


async def test_a_connection_idle_for_too_long_is_closed_and_not_used() -> None:
    moment = [100.0]
    async with origin(answering) as served, pool_to(served.at, now=lambda: moment[0]) as pool:
        await get(pool)
        moment[0] += Limits().pool_idle
        await get(pool)
        assert len(served.wires) == 2
        await served.wires[0].ended.wait()


@pytest.mark.parametrize(("chance", "age"), [(0.0, 10.0), (0.5, 9.0)])
async def test_under_steady_calls_a_connection_ends_with_the_call_in_which_its_age_passes(
    chance: float, age: float
) -> None:
    clock = OwnedClock()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if b" /slow " in request:
                clock.jump(1.0)  # its age passes while it carries this call
            await wire.send(HELLO)

    limits = Limits(max_age=10.0)
    async with (
        origin(script) as served,
        pool_to(served.at, limits=limits, now=clock.now, chance=lambda: chance) as pool,
    ):
        for _ in range(9):
            await get(pool)
            clock.jump((age - 0.5) / 9)
        assert await get(pool, call(target=b"/slow")) == b"hello"
        assert len(served.wires) == 1
        assert await get(pool, call(b"POST", effects=True)) == b"hello"
        await served.wires[0].ended.wait()
        assert [request.count(b" HTTP/1.1") for request in served.requests] == [10, 1]


async def test_a_new_address_is_found_under_steady_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = OwnedClock()
    async with origin(answering) as old, origin(answering) as new:
        async with pool_to(At("origin.test", 80), limits=Limits(max_age=10.0), now=clock.now) as pool:
            asked = answer_names(monkeypatch, [("127.0.0.1", old.at.port)], [("127.0.0.1", new.at.port)])
            for _ in range(15):
                await get(pool)
                clock.jump(1.0)
        assert [request.count(b"GET") for served in (old, new) for request in served.requests] == [10, 5]
        assert len(asked) == 2


async def test_an_idle_connection_is_closed_by_its_own_timer() -> None:
    async with origin(answering) as served, pool_to(served.at, limits=Limits(pool_idle=0.03)) as pool:
        await get(pool)
        await served.wires[0].ended.wait()
        await seen(lambda: pool.stats().open == 0)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("rogue", [b"", b"\r\n", HELLO])
async def test_a_connection_that_received_anything_while_idle_is_never_used_again(*, rogue: bytes, tls: bool) -> None:
    served: ScriptedOrigin

    async def once(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO)
        if len(served.wires) == 1:
            await idle.wait()
            await wire.send(rogue)
            if rogue:
                await wire.until_end()
        else:
            await answering(wire)

    idle = asyncio.Event()
    async with origin(once, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
        await get(pool)
        assert pool.stats().idle == 1
        idle.set()
        await seen(lambda: pool.stats().open == 0)
        assert await get(pool) == b"hello"
        assert [request.count(b"GET") for request in served.requests] == [1, 1]


async def test_an_end_that_the_event_loop_has_not_seen_yet_is_noticed_before_a_byte_is_written() -> None:
    async def once(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO)
        if len(served.wires) == 1:
            await asyncio.Event().wait()
        await answering(wire)

    async with origin(once) as served, pool_to(served.at) as pool:
        await get(pool)
        # Behind asyncio's back, and with no turn of the loop before the next call looks for a connection.
        served.wires[0].writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        answer = await pool.send(call(b"POST", b"pay", effects=True))
        assert not answer.timings.reused
        await whole(answer)
        assert served.requests[0].count(b"POST") == 0


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("seconds", [0.0, 0.001, 1.0])
@pytest.mark.parametrize("effects", [False, True], ids=["read", "payment"])
async def test_a_second_answer_that_the_event_loop_has_not_seen_yet_is_no_calls_answer(
    *, effects: bool, seconds: float, tls: bool
) -> None:
    async def once(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO)
        if len(served.wires) == 1:
            await wire.until_end()
        await answering(wire)

    time = 100.0
    async with origin(once, tls=server_tls() if tls else None) as served, pool_to(served.at, now=lambda: time) as pool:
        await get(pool)
        time += seconds
        served.wires[0].writer.write(STRAY)  # is in the kernel at once, with no turn of the loop before the next call
        answer = await pool.send(call(b"POST" if effects else b"GET", effects=effects))
        assert not answer.timings.reused
        assert await whole(answer) == b"hello"
        assert [request.count(b"/x HTTP/1.1") for request in served.requests] == [1, 1]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_an_origin_that_speaks_before_it_is_asked_gets_no_call(
    *, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def then_hear(*facts: Any) -> None:
        await connect(*facts)
        await seen(lambda: served.wires)
        served.wires[0].writer.write(STRAY)

    monkeypatch.setattr("proxy.upstream.connecting.maker.connect", then_hear)
    async with (
        origin(Wire.until_end, tls=server_tls() if tls else None) as served,
        pool_to(served.at, limits=ONE) as pool,
    ):
        fault = await fault_of(pool.send(call()))
        assert (fault.kind, fault.progress, fault.reused) == (FaultKind.DISCONNECTED, Progress.NOTHING, False)
        await served.wires[0].ended.wait()
        assert served.requests == [b""]
        await seen(lambda: pool.stats() == (0, 0, 0))
        await check_place_is_free(pool, served)


async def test_a_call_that_is_given_up_while_its_new_connection_is_looked_at_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def then_hear(*facts: Any) -> None:
        await connect(*facts)
        await seen(lambda: served.wires)
        served.wires[0].writer.write(STRAY)
        asyncio.get_running_loop().call_soon(sending.cancel)

    monkeypatch.setattr("proxy.upstream.connecting.maker.connect", then_hear)
    async with origin(Wire.until_end) as served, pool_to(served.at, limits=ONE) as pool:
        sending = asyncio.create_task(pool.send(call()))
        await asyncio.wait((sending,))
        assert sending.cancelled()
        await served.wires[0].ended.wait()
        await seen(lambda: pool.stats() == (0, 0, 0))
        assert served.requests == [b""]
        monkeypatch.undo()
        await check_place_is_free(pool, served)


async def test_session_tickets_that_wait_in_the_kernel_keep_no_call_from_a_new_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tickets: list[bytes] = []

    async def script(wire: Wire) -> None:
        server = Server(server_context(ssl.TLSVersion.TLSv1_3))
        await wire.send(server.shake(await wire.reader.read(65536)))
        tickets.append(server.shake(await wire.reader.read(65536)))
        await requested(wire, server)
        await wire.send(server.seal(HELLO))
        await wire.until_end()

    async def then_hear(*facts: Any) -> None:
        await connect(*facts)
        await seen(lambda: tickets)
        served.wires[0].writer.write(tickets[0])

    monkeypatch.setattr("proxy.upstream.connecting.maker.connect", then_hear)
    async with origin(script) as served, pool_to(at(served)) as pool:
        assert await get(pool) == b"hello"
        assert tickets[0]


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"Connection: foo, Close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
        b"HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\n",
    ],
)
async def test_a_connection_that_does_not_persist_is_not_used_again(answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(answer)
        await wire.until_end()

    async with origin(script) as served, pool_to(served.at) as pool:
        await get(pool)
        await get(pool)
        assert len(served.wires) == 2


async def test_bytes_after_a_body_that_was_begun_spoil_the_connection_but_not_the_answer() -> None:
    async def script(wire: Wire) -> None:
        if len(served.wires) > 1:
            await answering(wire)
        await wire.request()
        await wire.send(OK + b"Content-Length: 4\r\n\r\nab")
        await begun.wait()
        await wire.send(b"cd" + HELLO)
        await wire.until_end()

    begun = asyncio.Event()
    async with origin(script) as served, pool_to(served.at) as pool:
        answer = await pool.send(call())
        begun.set()
        assert await whole(answer) == b"abcd"
        assert await get(pool) == b"hello"
        assert [request.count(b"GET") for request in served.requests] == [1, 1]


async def test_a_pool_without_the_tls_context_its_origin_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="TLS context"):
        async with pool_to(replace(At("localhost", 1), tls=False), ssl_context=client_tls()):
            pass
