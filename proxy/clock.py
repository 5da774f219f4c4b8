"""Tells the time and waits. The only module that asks the system for it; everything else is given a Clock."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time and a way to wait on it."""

    def now(self) -> float:
        """Seconds on a clock that only moves forward and counts suspended time; its zero means nothing."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch, as this machine believes it."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until the event is set or the time has passed.

        Args:
            event: what is waited for.
            seconds: the bound; at or below 0 only looks.

        Returns:
            Whether the event is set.
        """
        ...


class SystemClock:
    """CLOCK_BOOTTIME where the kernel has it: a laptop or VM that slept must not believe that its token did not age."""

    def __init__(self) -> None:
        self._id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> float:
        """Seconds since boot, suspended time included."""
        return time.clock_gettime(self._id)

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait on the event loop's timer, which may pause in suspend; callers bound `seconds` and look again."""
        if event.is_set() or seconds <= 0:
            return event.is_set()
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        return True
