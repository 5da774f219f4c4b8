"""A process that stands still, as by SIGSTOP, while bytes arrive for it and its time-outs pass."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import time
from typing import TYPE_CHECKING, Any

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.support.scripted_origin import Wire

    Run = Callable[[Coroutine[Any, Any, None]], None]


STILL = 4.0  # seconds on asyncio's loop, whose clock is the test's
STILL_ON_UVLOOP = 0.4  # real seconds: uvloop's clock is nobody's


class _Selector(selectors.DefaultSelector):
    """Finds nothing when it is interrupted, as epoll does when the process goes on after a timer was due."""

    interrupted = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.interrupted:
            self.interrupted = False
            return []
        return super().select(timeout)


class StandingLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, on a clock that can jump."""

    def __init__(self) -> None:
        self._eyes = _Selector()
        self._stood = 0.0
        super().__init__(self._eyes)

    def time(self) -> float:
        return super().time() + self._stood

    def stand_still(self) -> None:
        self._stood += STILL
        self._eyes.interrupted = True


async def stand_still(arrives: Callable[[], None]) -> None:
    """Let something arrive while the process stands still."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, StandingLoop):
        arrives()
        loop.stand_still()
        return
    ours, theirs = socket.socketpair()
    over = loop.create_future()

    def stopped() -> None:
        """Run where libuv has asked its sockets already, and will look at its timers next."""
        loop.remove_reader(ours)
        arrives()
        time.sleep(STILL_ON_UVLOOP)
        over.set_result(None)

    with ours, theirs:
        loop.add_reader(ours, stopped)
        theirs.send(b"x")
        await over


def arrive(wire: Wire, data: bytes) -> None:
    """Put bytes into the kernel of whoever is at the other end, past the event loop."""
    os.write(wire.writer.get_extra_info("socket").fileno(), data)


def on_asyncio(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=StandingLoop) as runner:
        runner.run(scenario)


def on_uvloop(scenario: Coroutine[Any, Any, None]) -> None:
    uvloop.run(scenario)


def patience(run: Run) -> float:
    """Seconds of a time-out that ends while the process stands still, and never before."""
    return STILL / 2 if run is on_asyncio else STILL_ON_UVLOOP / 2
