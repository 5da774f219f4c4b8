"""Calls back when a connection's deadline has passed, with one timer for its whole life.

It never does so before the event loop has read what has arrived (`timeouts`). Every call moves the deadline further
away. That costs no timer: the one that is set looks again when it fires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.http1.timeouts import TURNS_TO_READ

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Deadline:
    """A deadline that can be moved, on the event loop's clock."""

    __slots__ = ("_at", "_expired", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired: Callable[[], None] | None = expired
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """Whether there is a deadline now."""
        return self._at is not None

    def set(self, seconds: float) -> None:
        """Set it to so many seconds from now."""
        self._at = at = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(at, self._look)

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
                self._timer = self._loop.call_at(self._at, self._look)
        elif turns:
            self._loop.call_soon(self._judge, turns - 1)
        else:
            self._at = None
            self._expired()
