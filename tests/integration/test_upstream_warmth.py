"""A few connections are kept warm after calls, so that the next one waits for no handshake."""

from __future__ import annotations

import pytest

from proxy.upstream.model import ConnectResult, Limits
from proxy.upstream.warmth import MOST, Warmth
from tests.support.scripted_origin import answering, origin
from tests.support.upstream_pool import call, get, pool_to, seen

LIMITS = Limits(effects_idle=0.04, keep_warm=30.0)  # it looks every ten real milliseconds


@pytest.mark.both_loops
async def test_a_connection_that_cools_gets_a_successor_that_carries_a_call_with_effects() -> None:
    moment = [100.0]
    async with origin(answering) as served, pool_to(served.at, limits=LIMITS, now=lambda: moment[0]) as pool:
        await get(pool)
        moment[0] += 1.0
        await seen(lambda: len(served.wires) == 2)
        await served.wires[0].ended.wait()  # the successor takes its place
        await seen(lambda: pool.stats() == (1, 1, 0))
        await get(pool, call(effects=True))
        assert [request.count(b"GET") for request in served.requests] == [1, 1]


@pytest.mark.both_loops
async def test_none_is_kept_when_no_call_has_come_for_long() -> None:
    moment = [100.0]
    async with origin(answering) as served, pool_to(served.at, limits=LIMITS, now=lambda: moment[0]) as pool:
        await get(pool)
        await seen(lambda: pool._keep_warm.peak == 0)  # noqa: SLF001 - that the call was counted shows nowhere else
        moment[0] += LIMITS.keep_warm
        await seen(lambda: pool._keep_warm._timer is None)  # noqa: SLF001 - as above
        assert len(served.wires) == 1
        await get(pool, call(effects=True))
        assert len(served.wires) == 2


@pytest.mark.both_loops
async def test_none_is_kept_by_a_pool_that_was_not_told_to() -> None:
    async with origin(answering) as served, pool_to(served.at) as pool:
        await get(pool)
        assert pool._keep_warm._timer is None  # noqa: SLF001 - as above


@pytest.mark.both_loops
async def test_an_origin_that_cannot_be_reached_is_not_tried_again_without_a_call() -> None:
    moment: list[float] = [100.0]
    results: list[ConnectResult] = []
    async with origin(answering) as served:
        at = served.at
        pool = pool_to(at, limits=LIMITS, now=lambda: moment[0], connects=results)
        made = await pool.__aenter__()
        await get(made)
    try:
        moment[0] += 1.0
        await seen(lambda: results[1:] == [ConnectResult.UNREACHABLE])
        await seen(lambda: made._keep_warm._timer is None)  # noqa: SLF001 - as above
        assert len(results) == 2
    finally:
        await pool.__aexit__(None, None, None)


def test_as_many_are_kept_as_were_in_use_at_once_up_to_a_few_and_fewer_when_the_load_falls() -> None:
    warmth = Warmth(30.0)
    assert warmth.floor(0.0, 0) == 0
    assert warmth.floor(1.0, 2) == 2
    assert warmth.floor(30.9, 0) == 2
    assert warmth.floor(31.0, 0) == 0
    assert warmth.floor(32.0, 100) == MOST
    assert [warmth.floor(33.0 + second, 1) for second in range(20)][-1] == 1
    warmth.failed()
    assert warmth.floor(60.0, 0) == 0
