"""Bounds waits by time, and lets the event loop read what has arrived before a wait times out.

A process that stood still (SIGSTOP, a frozen container, a suspended machine) finds its timers due and its sockets full
at the same moment, and both event loops may run the timers first. No wait may end for want of bytes that are here.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# Turns of the event loop until protocols have got what their sockets held: the first may be past reading already.
TURNS_TO_READ: Final = 2
# Until tasks have worked it off as well, with room to spare: a new connection passes through several of them.
TURNS_TO_WORK_OFF: Final = 16


async def read_what_is_here() -> None:
    """Let the event loop give protocols what their sockets hold."""
    for _ in range(TURNS_TO_READ):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def timeout_at(when: float) -> AsyncIterator[None]:
    """Do what asyncio.timeout_at does, once what has arrived until then was worked off."""
    loop = asyncio.get_running_loop()
    timer: asyncio.Handle
    async with asyncio.timeout(None) as bound:

        def due(turns: int) -> None:
            nonlocal timer
            if turns:
                timer = loop.call_soon(due, turns - 1)
            else:
                bound.reschedule(loop.time())

        timer = loop.call_at(when, due, TURNS_TO_WORK_OFF)
        try:
            yield
        finally:
            timer.cancel()


class Deadline:
    """A connection's deadline on the event loop's clock; calls back once it has passed.

    Every call moves it further away. That costs no timer: the one that is set looks again when it fires.

    Attributes:
        since: when it was set last.
    """

    __slots__ = ("_at", "_due", "_expired", "_loop", "_time", "_timer", "since")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._time = loop.time
        self._expired: Callable[[], None] | None = expired
        self._at: float | None = None
        self.since = 0.0
        self._due = 0.0  # when the timer fires, if there is one
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Set it to so many seconds from now."""
        self.since = now = self._time()
        self._at = at = now + seconds
        if self._timer is None or self._due > at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._due = self._loop.call_at(at, self._look), at

    def clear(self) -> None:
        """Remove the deadline."""
        self._at = None

    def cancel(self) -> None:
        """Remove the deadline for good, and let go of the connection.

        A circle of the two would keep a lost one, with the 40 KiB that OpenSSL and the event loop have for it, until
        the collector of garbage comes by.
        """
        self._at = self._expired = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self._judge(TURNS_TO_READ)

    def _judge(self, turns: int) -> None:
        """Call back after so many turns of the loop, unless the deadline was moved or cleared by then."""
        if self._at is None or self._expired is None:
            return
        if self._loop.time() < self._at:
            if self._timer is None:
                self._timer, self._due = self._loop.call_at(self._at, self._look), self._at
        elif turns:
            self._loop.call_soon(self._judge, turns - 1)
        else:
            self._at = None
            self._expired()
