"""Spreads the work of handshakes over turns of the event loop, so that calls go on between them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pace:
    """Steps that are done in order, one a turn of the event loop: each takes OpenSSL up to a millisecond."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._steps: deque[Callable[[], None]] = deque()

    def run(self, step: Callable[[], None]) -> None:
        """Do a step, soon."""
        self._steps.append(step)
        if len(self._steps) == 1:
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        step = self._steps[0]
        try:
            step()
        finally:
            self._steps.popleft()
            if self._steps:
                self._loop.call_soon(self._run)
