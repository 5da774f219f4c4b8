"""A clock that stands still until its test moves it."""

from __future__ import annotations

import asyncio

BOUND = 30.0  # seconds of real time that only a defect reaches


class OwnedClock:
    """Time passes by `advance` alone; `asleep` waits until somebody waits for it to pass."""

    def __init__(self, now: float = 1000.0, wall: float = 1_700_000_000.0) -> None:
        self._now = now
        self._wall = wall
        self._sleepers: dict[asyncio.Future[None], float] = {}
        self._slept = asyncio.Event()
        self.waits: list[float] = []

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if event.is_set() or seconds <= 0:
            return event.is_set()
        self.waits.append(seconds)
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers[sleeper] = self._now + seconds
        self._slept.set()
        woken = asyncio.create_task(event.wait())
        try:
            await asyncio.wait((sleeper, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            self._sleepers.pop(sleeper, None)
            sleeper.cancel()
        return event.is_set()

    async def asleep(self, sleepers: int = 1) -> float:
        """Wait until so many wait for time to pass; return the seconds to the first one's end."""
        async with asyncio.timeout(BOUND):
            while len(self._sleepers) < sleepers:
                self._slept.clear()
                await self._slept.wait()
        return min(self._sleepers.values()) - self._now

    def jump(self, seconds: float) -> None:
        """Let time pass that nobody waits for."""
        self._now += seconds
        self._wall += seconds

    async def advance(self, seconds: float, sleepers: int = 1) -> None:
        """Let time pass, once so many wait for it."""
        await self.asleep(sleepers)
        self.jump(seconds)
        for sleeper in [sleeper for sleeper, until in self._sleepers.items() if until <= self._now]:
            del self._sleepers[sleeper]
            sleeper.set_result(None)
