"""How many connections there are, who waits for one, and that none outlives its use."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop

from proxy.upstream.model import FaultKind, Limits, Progress
from tests.support.scripted_origin import HELLO, At, Wire, answering, origin, server_tls
from tests.support.upstream_pool import Egress, call, fault_of, get, pool_to, seen

if TYPE_CHECKING:
    from collections.abc import Callable

OK = b"HTTP/1.1 200 OK\r\n"


async def test_a_full_pool_makes_calls_wait_their_turn() -> None:
    async with origin(answering) as served, pool_to(served.at, limits=Limits(max_connections=2)) as pool:
        assert await asyncio.gather(*(get(pool) for _ in range(20))) == [b"hello"] * 20
        assert len(served.wires) <= 2


async def test_a_call_that_gets_no_connection_in_its_budget_was_not_sent() -> None:
    async def silent(wire: Wire) -> None:
        await wire.until_end()

    limits = Limits(max_connections=1, connect_timeout=0.3)
    async with origin(silent) as served, pool_to(served.at, limits=limits) as pool:
        holder = asyncio.create_task(pool.send(call()))
        await seen(lambda: served.wires)
        fault = await fault_of(pool.send(call(b"POST", b"pay", effects=True)))
        assert (fault.kind, fault.progress, fault.reused) == (FaultKind.POOL, Progress.NOTHING, False)
        assert fault.timings.total_seconds is not None
        holder.cancel()
        await asyncio.wait([holder])
        await served.wires[0].ended.wait()
        assert len(served.wires) == 1


async def test_a_cool_connection_makes_room_for_a_call_with_effects() -> None:
    moment = [100.0]
    limits = Limits(max_connections=1, pool_idle=60)
    async with origin(answering) as served, pool_to(served.at, limits=limits, now=lambda: moment[0]) as pool:
        await get(pool)
        moment[0] += 3
        await get(pool, call(b"POST", b"", effects=True))
        await seen(lambda: pool.stats() == (1, 1, 0))
        assert len(served.wires) == 2


async def test_a_connection_made_for_a_call_with_effects_takes_the_place_of_a_cool_one() -> None:
    moment = [100.0]
    async with origin(answering) as served, pool_to(served.at, now=lambda: moment[0]) as pool:
        for _ in range(5):
            await get(pool, call(b"POST", b"", effects=True))
            moment[0] += 3
        await seen(lambda: pool.stats() == (1, 1, 0))
        assert len(served.wires) == 5


async def test_a_read_uses_a_connection_that_was_idle_for_most_of_a_minute() -> None:
    moment = [100.0]
    async with origin(answering) as served, pool_to(served.at, now=lambda: moment[0]) as pool:
        await get(pool)
        moment[0] += 45
        await get(pool)
        assert len(served.wires) == 1


async def test_a_waiting_call_that_is_given_up_leaves_its_place_to_others() -> None:
    release = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await release.wait()
        await wire.send(HELLO)
        await answering(wire)

    async with origin(script) as served, pool_to(served.at, limits=Limits(max_connections=1)) as pool:
        first, second, third = [asyncio.create_task(get(pool)) for _ in range(3)]
        await seen(lambda: served.wires)
        second.cancel()
        release.set()
        assert (await first, await third) == (b"hello", b"hello")
        assert second.cancelled()


async def test_a_closed_pool_sends_nothing() -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        await get(pool)
        await pool.close()
        fault = await fault_of(pool.send(call()))
        assert (fault.kind, fault.progress) == (FaultKind.CLOSED, Progress.NOTHING)
        assert len(served.wires) == 1


async def test_closing_the_pool_ends_a_call_on_its_way_with_what_is_known_of_it() -> None:
    async def silent(wire: Wire) -> None:
        await wire.request()
        asked.set()
        await wire.until_end()

    asked = asyncio.Event()
    async with origin(silent) as served, pool_to(served.at) as pool:
        sending = asyncio.create_task(fault_of(pool.send(call())))
        await asked.wait()
        assert pool.stats() == (1, 0, 1)
        await pool.close()
        fault = await sending
        assert (fault.kind, fault.progress) == (FaultKind.DISCONNECTED, Progress.ALL)


async def test_a_pool_that_is_closed_while_it_connects_sends_nothing() -> None:
    accepted = asyncio.Event()
    go_on = asyncio.Event()

    async def slow_proxy(wire: Wire) -> None:
        await wire.head()
        accepted.set()
        await go_on.wait()
        await wire.send(OK + b"\r\n")
        await wire.until_end()

    async with (
        origin(slow_proxy) as served,
        pool_to(At("origin.test", 80), egress=Egress(served.at.host, served.at.port)) as pool,
    ):
        sending = asyncio.create_task(fault_of(pool.send(call())))
        await accepted.wait()
        await pool.close()
        go_on.set()
        fault = await sending
        assert (fault.kind, fault.progress) == (FaultKind.CLOSED, Progress.NOTHING)
        assert b"GET" not in served.requests[0]


@pytest.mark.parametrize("tls", [False, True])
async def test_a_cancelled_call_aborts_its_connection(*, tls: bool) -> None:
    async def silent(wire: Wire) -> None:
        await wire.request()
        asked.set()
        await wire.until_end()

    asked = asyncio.Event()
    async with origin(silent, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
        sending = asyncio.create_task(pool.send(call()))
        await asked.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await served.wires[0].ended.wait()
        await seen(lambda: pool.stats() == (0, 0, 0))


async def test_an_answer_closed_before_its_end_takes_its_connection_with_it() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + b"Content-Length: 10\r\n\r\nhello")
        await wire.until_end()

    async with origin(script) as served, pool_to(served.at) as pool:
        async with await pool.send(call()) as answer:
            assert await answer.read() == b"hello"
        await served.wires[0].ended.wait()
        with pytest.raises(RuntimeError, match="closed"):
            await answer.read()
        await seen(lambda: pool.stats() == (0, 0, 0))


async def test_an_answer_that_nobody_holds_any_more_holds_no_connection() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + b"Content-Length: 10\r\n\r\nhello")
        await wire.until_end()

    async with origin(script) as served, pool_to(served.at) as pool:
        answer = await pool.send(call())
        assert answer.status == 200
        with pytest.warns(ResourceWarning, match="dropped without being closed"):
            del answer
        await served.wires[0].ended.wait()
        await seen(lambda: pool.stats() == (0, 0, 0))


async def test_closing_a_complete_answer_unread_keeps_its_connection() -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        (await pool.send(call())).close()
        assert pool.stats() == (1, 1, 0)
        await get(pool)
        assert len(served.wires) == 1


async def test_churn_leaves_no_descriptor_task_or_timer_behind() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await wire.until_end()

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with origin(script, tls=server_tls()) as served, pool_to(served.at) as pool:
        await get(pool)
        await seen(lambda: all(wire.ended.is_set() for wire in served.wires) and pool.stats().open == 0)
        before, tasks = descriptors(), len(asyncio.all_tasks())
        for _ in range(30):
            await get(pool)
        await seen(lambda: all(wire.ended.is_set() for wire in served.wires) and pool.stats().open == 0)
        await seen(lambda: descriptors() <= before + 1 and len(asyncio.all_tasks()) <= tasks + 1)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("tls", [False, True])
def test_a_lost_connection_is_gone_at_once_and_not_when_garbage_is_collected(
    loop: Callable[[], asyncio.AbstractEventLoop], *, tls: bool
) -> None:
    async def lose() -> None:
        async with origin(answering, tls=server_tls() if tls else None) as served, pool_to(served.at) as pool:
            await get(pool)
            taken = pool.acquire(effects=False)
            assert taken is not None
            pool.release(taken)
            connection = weakref.ref(taken)
            del taken
            served.wires[0].cut()
            await seen(lambda: connection() is None)

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(lose())
    finally:
        gc.enable()
