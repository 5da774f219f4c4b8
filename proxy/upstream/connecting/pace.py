"""Spreads the work of handshakes over turns of the event loop, so that calls go on between them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SHARE: Final = 0.25  # of the time that the other work takes: under load, turns are long and connections are missed most


class Pace:
    """Steps that are done in order, at least one a turn of the event loop: each takes OpenSSL up to a millisecond.

    Args:
        now: seconds on a clock that goes on while the event loop works.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._steps: deque[Callable[[], None]] = deque()
        self._due = False
        self._since = 0.0  # when the other work began

    def run(self, step: Callable[[], None]) -> None:
        """Do a step, soon."""
        self._steps.append(step)
        if not self._due:
            self._rest()

    def _run(self) -> None:
        began = self._now()
        until = began + SHARE * (began - self._since)
        try:
            self._steps.popleft()()
            while self._steps and self._now() < until:
                self._steps.popleft()()
        finally:
            self._due = False
            if self._steps:
                self._rest()

    def _rest(self) -> None:
        """Go on in the next turn."""
        self._due, self._since = True, self._now()
        self._loop.call_soon(self._run)
