"""Who looks on never fails what it looks at, whatever it raises; and it is told of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from proxy.upstream.model import FaultKind, Progress, Timings
from tests.support.addresses import free_port
from tests.support.scripted_origin import At, answering, origin
from tests.support.upstream_pool import ONE, call, fault_of, get, pool_to, seen

if TYPE_CHECKING:
    from proxy.upstream.exchange import Exchange


class DefectError(Exception):
    """What an observer raises."""


def defective(*_: object) -> NoReturn:
    raise DefectError


@pytest.fixture
async def told() -> Any:
    """What the event loop was told of exceptions."""
    loop, heard = asyncio.get_running_loop(), list[BaseException]()
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
    yield heard
    loop.set_exception_handler(None)


async def test_an_observer_of_connections_that_fails_fails_no_call(told: list[BaseException]) -> None:
    async with origin(answering) as served, pool_to(served.at, connected=defective) as pool:
        assert [await get(pool), await get(pool)] == [b"hello", b"hello"]
        assert len(served.wires) == 1
        assert pool.stats() == (1, 1, 0)
    assert [type(error) for error in told] == [DefectError]


async def test_an_observer_of_connections_that_fails_hides_no_fault(told: list[BaseException]) -> None:
    async with pool_to(At("127.0.0.1", free_port()), limits=ONE, connected=defective) as pool:
        for _ in range(2):  # the second finds the place of the first
            fault = await fault_of(pool.send(call()))
            assert (fault.kind, fault.progress) == (FaultKind.UNREACHABLE, Progress.NOTHING)
    assert [type(error) for error in told] == [DefectError, DefectError]


async def test_a_watcher_that_fails_harms_no_connection(told: list[BaseException]) -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        await get(pool)
        connection = pool.acquire(effects=True)
        assert connection is not None
        exchange: Exchange = connection.begin(b"GET", Timings(0.0))
        exchange.watcher = defective
        connection.write(exchange, b"GET /y HTTP/1.1\r\n\r\n", last=True)
        await seen(lambda: exchange.over)
        assert (exchange.fault, b"".join(exchange.pieces)) == (None, b"hello")
        assert pool.stats() == (1, 1, 0)
        assert await get(pool) == b"hello"
        assert len(served.wires) == 1
    assert [type(error) for error in told] == [DefectError]


@pytest.mark.parametrize("warm", [False, True])
async def test_a_call_whose_sending_cannot_be_noted_is_not_sent_and_keeps_no_place(*, warm: bool) -> None:
    async with origin(answering) as served, pool_to(served.at, limits=ONE) as pool:
        if warm:
            await get(pool)
        with pytest.raises(DefectError):
            await pool.send(replace(call(target=b"/pay"), sending=defective))
        assert await get(pool) == b"hello"
        assert b"/pay" not in b"".join(served.requests)
        await seen(lambda: pool.stats() == (1, 1, 0))
