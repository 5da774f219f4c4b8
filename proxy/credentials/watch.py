"""Reads the source of the credentials again and again, and reports changes. A failed read keeps what is held.

It never reports credentials that it saw half-way, and no error may end it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.credentials.model import CredentialSourceError
from proxy.process.error_location import where

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.clock import Clock
    from proxy.credentials.model import Credentials, Source

FIRST_RETRY: Final = 1.0  # seconds; doubles up to the source's interval while no credentials are held at all
LAST_RETRY: Final = 60.0  # seconds; for a source without an interval
LONGEST_SLEEP: Final = 15.0  # seconds; the loop's timer stops in suspend, so it looks at the clock at least this often


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The source holds other credentials than before."""

    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Recovered:
    """The source can be read again, and holds the same as before."""


@dataclass(frozen=True, slots=True)
class ReloadFailed:
    """The source could not be read; what is held stays.

    Attributes:
        reason: why, and what to do; fit for a log.
        failures: how often in a row. Reported for 1, 2, 4, 8 … and whenever the reason changes.
    """

    reason: str
    failures: int


Event = Reloaded | Recovered | ReloadFailed


class Watch:
    """The loop that reads a source again and again.

    Args:
        source: what is watched.
        held: the credentials in use, or None when there are none yet.
        clock: the time.
        report: called with every event; must not raise or block.
    """

    def __init__(
        self, source: Source, *, held: Credentials | None, clock: Clock, report: Callable[[Event], None]
    ) -> None:
        self._source = source
        self._held = held
        self._clock = clock
        self._report = report
        self._wake = asyncio.Event()
        self._failures = 0
        self._reason = ""

    def look(self) -> None:
        """Read the source now, whatever its interval."""
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._sleep(self._pause())
            self._wake.clear()
            await self._look()

    def _pause(self) -> float | None:
        """Return the seconds until the next look; None waits for `look` alone."""
        if self._held is not None:
            return self._source.interval
        if self._failures == 0:
            return 0.0
        return min(FIRST_RETRY * 2.0 ** min(self._failures - 1, 10), self._source.interval or LAST_RETRY)

    async def _sleep(self, seconds: float | None) -> None:
        if seconds is None:
            await self._wake.wait()
            return
        until = self._clock.now() + seconds
        while (left := until - self._clock.now()) > 0:
            if await self._clock.wait(self._wake, min(left, LONGEST_SLEEP)):
                return

    async def _look(self) -> None:
        try:
            loaded = await self._stable_read()
        except CredentialSourceError as error:
            self._failed(str(error))
            return
        except Exception as error:  # noqa: BLE001 - the loop's end would be the process's
            self._failed(f"reading it failed unforeseen: {type(error).__qualname__} in {where(error)}")
            return
        failures, self._failures, self._reason = self._failures, 0, ""
        if loaded != self._held:
            self._held = loaded
            self._report(Reloaded(loaded))
        elif failures:
            self._report(Recovered())

    async def _stable_read(self) -> Credentials:
        """Read until a change has stood still for a while."""
        loaded = await self._source.load()
        if self._held is None or self._source.confirm_after == 0:
            return loaded
        before = self._held
        while loaded not in (self._held, before):
            await self._clock.wait(asyncio.Event(), self._source.confirm_after)
            before, loaded = loaded, await self._source.load()
        return loaded

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if reason != self._reason or self._failures.bit_count() == 1:
            self._reason = reason
            self._report(ReloadFailed(reason, self._failures))
