"""Keeps a few connections warm after the load seen lately, so that the next calls wait for no handshake.

A connection that will soon have cooled for calls with effects gets a successor; reads use it until it is closed.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.upstream.model import Limits

MOST: Final = 4  # connections; what more calls at once need is made while these carry the first


class Warmth:
    """How many connections are kept warm: as many as were in use at once lately, but a few at most.

    Args:
        lasts: seconds after the last call in which they are.
    """

    def __init__(self, lasts: float) -> None:
        self._lasts = lasts
        self._peak = 0
        self._seen_at = -math.inf

    def floor(self, now: float, in_use: int) -> int:
        """Return the number; `in_use` is the most that were in use at once since this was asked last."""
        if in_use:
            # A quarter of the distance at a time: a smaller load does not make the larger one forgotten at once.
            self._peak = max(in_use, self._peak - (self._peak - in_use + 3) // 4)
            self._seen_at = now
        return min(self._peak, MOST) if 0 <= now - self._seen_at < self._lasts else 0

    def failed(self) -> None:
        """Return 0 until the next call: the origin cannot be reached."""
        self._seen_at = -math.inf


class KeepWarm:
    """Looks several times before a connection has cooled whether another is due.

    Args:
        limits: of the pool.
        now: the pool's clock.
        in_use: counts connections in use.
        make: makes connections until so many will be warm at a moment, by the pool's clock.

    Attributes:
        peak: the most connections that were in use at once since it looked last; the pool counts.
    """

    def __init__(
        self, limits: Limits, now: Callable[[], float], in_use: Callable[[], int], make: Callable[[int, float], None]
    ) -> None:
        self.peak = 0
        self._warmth = Warmth(limits.keep_warm)
        self._limits = limits
        self._now = now
        self._in_use = in_use
        self._make = make
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Look from now on, until no load was seen for long enough."""
        if self._timer is None and self._limits.keep_warm:
            self._look()

    def failed(self) -> None:
        """Keep none warm until the next call: the origin cannot be reached."""
        self._warmth.failed()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now, every = self._now(), self._limits.effects_idle / 4
        peak, self.peak = self.peak, self._in_use()
        floor = self._warmth.floor(now, peak)
        self._timer = asyncio.get_running_loop().call_later(every, self._look) if floor else None
        self._make(floor, now + every)
