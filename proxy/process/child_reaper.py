"""Reaps orphaned processes when the sidecar is PID 1 of a container.

It must never reap a child that other code waits for, so it pauses while such code runs.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERVAL: Final = 2.0  # seconds; a process that has ended and is not reaped costs a process number, and nothing else
_INIT: Final = 1  # the process to which the kernel gives those whose parent has ended

_lock: Final = threading.Lock()
_starters: Final[set[object]] = set()


@contextmanager
def own_children() -> Iterator[None]:
    """Pause the reaper while the block starts processes and waits for them; from any thread."""
    starter = object()
    with _lock:
        _starters.add(starter)
    try:
        yield
    finally:
        with _lock:
            _starters.discard(starter)


def inherits() -> bool:
    """Return whether this process is given orphans."""
    return os.getpid() == _INIT


async def reap_forever() -> None:
    """Reap every few seconds."""
    while True:
        reap()
        await asyncio.sleep(INTERVAL)


def reap() -> None:
    """Let the kernel forget every child that has ended, unless one of them may be ours to wait for."""
    with _lock:
        if _starters:
            return
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:  # there is none at all
            return
