"""Prepares the process before the rest is imported: opens its first three descriptors and handles early signals.

It must import nothing that takes long: until it has run, a signal to stop is lost when this process is PID 1, for which
the kernel has no default action.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
# These commands run until they are stopped, so a stop before they are ready is no failure.
_ENDLESS: Final = ("serve", "simulator")
SIGNALLED: Final = 128  # plus the signal's number: the exit code that shells give to what a signal has ended

_reloads_asked: Final[list[int]] = []


def prepare(arguments: Sequence[str]) -> None:
    """Make the process ready for the command that the arguments name."""
    open_standard_descriptors()
    _take_signals(arguments[0] if arguments else "")
    # The parent may have blocked them until the handlers stand, as the image does.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _take_signals(command: str) -> None:
    if command not in (*_ENDLESS, "demo"):
        signal.signal(signal.SIGTERM, _unwind)
        return
    for number in STOP_SIGNALS:
        signal.signal(number, _end_in_order if command in _ENDLESS else _end)
    if command == "serve":
        signal.signal(signal.SIGHUP, _remember_reload)


def open_standard_descriptors() -> None:
    """Open /dev/null on each of the descriptors 0 to 2 that is closed, or a socket would take its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
            os.set_inheritable(descriptor, True)


def reload_asked() -> bool:
    """Return whether SIGHUP came before the event loop took signals."""
    return bool(_reloads_asked)


def _end_in_order(_number: int, _frame: FrameType | None) -> None:
    """End at once; an exception could be lost in the interrupted code, and there is nothing to undo."""
    os._exit(0)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(SIGNALLED + number)


def _unwind(number: int, _frame: FrameType | None) -> None:
    """End by an exception: until there is an event loop, nothing is under way that it could cut."""
    signal.signal(number, signal.SIG_DFL)
    sys.exit(SIGNALLED + number)


def _remember_reload(number: int, _frame: FrameType | None) -> None:
    _reloads_asked.append(number)
