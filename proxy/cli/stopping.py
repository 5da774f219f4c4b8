"""When is this process told to end? By SIGTERM, or by SIGINT, which is Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_requested() -> Iterator[asyncio.Event]:
    """Give an event that is set by the first signal; inside, no signal ends the process by itself."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    for number in SIGNALS:
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
