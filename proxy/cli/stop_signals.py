"""Turns SIGTERM and SIGINT (Ctrl-C) into an event that a command waits for."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from proxy.process.startup import STOP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator


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
