"""A call waits for whichever connection comes first, and handshakes come in no crowds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from proxy.http1.timeouts import TURNS_TO_WORK_OFF
from proxy.upstream.model import ConnectError, FaultKind, Limits, Obstacle, Progress
from proxy.upstream.waiting import Waiting
from tests.support.scripted_origin import HELLO, At, Wire, answering, origin, server_tls, tunnel_to
from tests.support.sidecars import BOUND
from tests.support.upstream_pool import Egress, call, fault_of, get, pool_to, seen, whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.upstream.connection import Connection

AT_FIRST = 16  # connections that are made at once before it is known how long one takes
pytestmark = pytest.mark.both_loops


def opening(count: int, to: At) -> Callable[[Wire], Awaitable[None]]:
    """An egress proxy that opens so many tunnels, and leaves every other request without an answer."""
    opened: list[Wire] = []

    async def script(wire: Wire) -> None:
        await wire.head()
        if len(opened) == count:
            await wire.until_end()
            return
        opened.append(wire)
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await tunnel_to(wire, to.port)

    return script


def finishing(done: asyncio.Event) -> Callable[[Wire], Awaitable[None]]:
    """An origin that ends its first answer once that is wanted."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO[:-1])
        await done.wait()
        await wire.send(HELLO[-1:])
        await answering(wire)

    return script


async def test_a_call_takes_the_connection_that_another_has_done_with_while_its_own_is_being_made() -> None:
    done = asyncio.Event()
    async with (
        origin(finishing(done)) as served,
        origin(opening(1, served.at)) as egress,
        pool_to(served.at, egress=Egress("localhost", egress.at.port)) as pool,
    ):
        first = await pool.send(call())
        second = asyncio.create_task(get(pool, call(effects=True)))
        await seen(lambda: len(egress.wires) == 2)
        assert not second.done()
        done.set()
        assert (await whole(first), await second) == (b"hello", b"hello")
        assert len(served.wires) == 1
        assert pool.stats() == (1, 1, 0)


async def test_a_call_with_effects_waits_for_a_new_connection_where_each_is_to_have_one() -> None:
    done = asyncio.Event()
    async with (
        origin(finishing(done)) as served,
        origin(opening(1, served.at)) as egress,
        pool_to(served.at, limits=Limits(effects_idle=0.0), egress=Egress("localhost", egress.at.port)) as pool,
    ):
        first = await pool.send(call())
        paying = asyncio.create_task(pool.send(call(b"POST", b"pay", effects=True)))
        await seen(lambda: len(egress.wires) == 2)
        done.set()
        assert await whole(first) == b"hello"
        for _ in range(20):
            await asyncio.sleep(0)
        assert not paying.done()
        assert pool.stats() == (1, 1, 0)
        paying.cancel()
        await asyncio.wait((paying,))
        assert b"POST" not in b"".join(served.requests)


async def test_a_connection_whose_call_was_carried_by_another_serves_the_next() -> None:
    async with origin(answering, tls=server_tls()) as served, pool_to(served.at) as pool:
        assert await asyncio.gather(*(get(pool) for _ in range(40))) == [b"hello"] * 40
        await seen(lambda: pool._waiting.making == 0)  # noqa: SLF001 - that none is being made shows nowhere else
        await seen(lambda: len(served.wires) == pool.stats().open)
        made = len(served.wires)
        assert made <= 40
        assert await get(pool, call(effects=True)) == b"hello"
        assert len(served.wires) == made


async def test_no_more_handshakes_than_a_few_are_under_way_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.upstream.waiting.HANGS", 60.0)
    async with origin(Wire.until_end) as silent:
        at = At("localhost", silent.at.port, tls=True)
        async with pool_to(at) as pool:
            calls = [asyncio.create_task(pool.send(call())) for _ in range(40)]
            await seen(lambda: len(silent.wires) == AT_FIRST)
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(silent.wires) == AT_FIRST
            for sending in calls:
                sending.cancel()
            await asyncio.wait(calls)


async def test_a_handshake_that_hangs_keeps_no_other_from_beginning_for_long() -> None:
    async with origin(Wire.until_end) as silent, pool_to(At("localhost", silent.at.port, tls=True)) as pool:
        calls = [asyncio.create_task(pool.send(call())) for _ in range(AT_FIRST + 2)]
        await seen(lambda: len(silent.wires) == AT_FIRST + 2)
        for sending in calls:
            sending.cancel()
        await asyncio.wait(calls)


async def test_a_call_for_which_none_was_begun_is_not_sent_when_its_time_is_over() -> None:
    async with origin(Wire.until_end) as silent:
        at = At("localhost", silent.at.port, tls=True)
        async with pool_to(at, limits=Limits(connect_timeout=0.05)) as pool:
            faults = await asyncio.gather(*(fault_of(pool.send(call())) for _ in range(AT_FIRST + 1)))
    assert {(fault.kind, fault.obstacle, fault.progress) for fault in faults} == {
        (FaultKind.UNREACHABLE, Obstacle.SLOW, Progress.NOTHING)
    }


async def test_a_call_that_gives_up_hands_on_the_connection_that_was_given_to_it() -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        held = await pool.send(call())
        waiting = [asyncio.create_task(get(pool)) for _ in range(2)]
        waiting[0].cancel()
        assert await whole(held) == b"hello"
        assert await waiting[1] == b"hello"
        await asyncio.wait(waiting)
        await seen(lambda: pool.stats().active == 0)


async def test_the_end_of_the_pool_ends_the_calls_that_wait() -> None:
    async with origin(Wire.until_end) as silent, pool_to(At("localhost", silent.at.port, tls=True)) as pool:
        calls = [asyncio.create_task(fault_of(pool.send(call()))) for _ in range(AT_FIRST + 3)]
        await seen(lambda: len(silent.wires) >= AT_FIRST)
        await pool.close()
        faults = await asyncio.gather(*calls)
    assert {(fault.kind, fault.progress, fault.detail) for fault in faults} == {
        (FaultKind.CLOSED, Progress.NOTHING, "the sidecar is shutting down")
    }


class Made:
    """A connection that was made."""

    free = False


async def test_a_call_whose_own_connection_went_to_another_waits_no_longer_than_its_time() -> None:
    limits, made, fails, comes = Limits(), cast("Connection", Made()), asyncio.Event(), asyncio.Event()
    waiting = Waiting(limits, lambda connection: given.append(waiting.offer(connection)))
    given: list[bool] = []

    async def failing() -> Connection:
        await fails.wait()
        raise ConnectError(Obstacle.REFUSED, "nobody listens")

    async def coming() -> Connection:
        await comes.wait()
        return made

    over = asyncio.get_running_loop().time()
    first = asyncio.create_task(waiting.wait(failing, over))
    second = asyncio.create_task(waiting.wait(coming, over))
    for _ in range(4 * TURNS_TO_WORK_OFF):
        await asyncio.sleep(0)
    comes.set()
    assert await first is made
    fails.set()
    with pytest.raises(ConnectError, match="no connection within"):
        async with asyncio.timeout(BOUND):
            await second
    assert (given, len(waiting.calls)) == ([True], 0)
