"""Turns SIGTERM and SIGINT (Ctrl-C) into an event that a command waits for."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from proxy.process.startup import SIGNALLED, STOP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

Result = TypeVar("Result")


@contextmanager
def stop_requested() -> Iterator[asyncio.Event]:
    """Give an event that is set by the first signal; inside, no signal ends the process by itself."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def cancelled_by_sigterm(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what comes of some work; SIGTERM cancels it, and then ends the process with the exit code for that.

    An exception out of a signal's handler could come in the middle of starting a program, which would outlive us.
    """
    if threading.current_thread() is not threading.main_thread():
        return await work  # signals are the main thread's
    loop, doing, before = asyncio.get_running_loop(), asyncio.ensure_future(work), signal.getsignal(signal.SIGTERM)
    asked = asyncio.Event()

    def stop() -> None:
        asked.set()
        doing.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        return await doing
    except asyncio.CancelledError:
        if asked.is_set():
            sys.exit(SIGNALLED + signal.SIGTERM)
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
