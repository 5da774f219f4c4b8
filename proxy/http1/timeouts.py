"""Bounds waits by time, and lets the event loop read what has arrived before a wait times out.

A process that stood still (SIGSTOP, a frozen container, a suspended machine) finds its timers due and its sockets full
at the same moment, and both event loops may run the timers first. No wait may end for want of bytes that are here.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
