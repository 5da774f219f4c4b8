"""The one place that asks the system for the time."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from proxy.clock import SystemClock


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has CLOCK_BOOTTIME")
def test_the_clock_counts_suspended_time_where_the_system_can() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    read = SystemClock().now()
    assert before <= read <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_elsewhere_the_monotonic_clock_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    read = SystemClock().now()
    assert before <= read <= time.clock_gettime(time.CLOCK_MONOTONIC)


def test_the_wall_clock_is_the_machines() -> None:
    before = time.time()
    assert before <= SystemClock().wall() <= time.time()


async def test_a_wait_ends_with_its_event_or_its_time_and_tells_which() -> None:
    clock, event = SystemClock(), asyncio.Event()
    began = clock.now()
    assert not await clock.wait(event, 0.02)
    assert clock.now() - began >= 0.02
    waiting = asyncio.create_task(clock.wait(event, 60))
    await asyncio.sleep(0)
    event.set()
    assert await waiting


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_a_wait_without_time_only_looks(seconds: float) -> None:
    event = asyncio.Event()
    assert not await SystemClock().wait(event, seconds)
    event.set()
    assert await SystemClock().wait(event, seconds)


async def test_a_wait_that_is_cancelled_is_over() -> None:
    waiting = asyncio.create_task(SystemClock().wait(asyncio.Event(), 60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
