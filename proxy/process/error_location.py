"""Names where in the source an exception was raised; logged instead of its text, which may quote what was sent."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_FRAMES: Final = 8  # that a trail holds at most


def where(error: BaseException) -> str | None:
    """Name module and line of the innermost frame."""
    return place(error.__traceback__)


def place(trace: TracebackType | None) -> str | None:
    """Name module and line of a traceback's innermost frame."""
    return next(_innermost_first(trace), None)


def trail(trace: TracebackType | None) -> str:
    """Name the innermost frames, each with who called it behind it."""
    return " < ".join(list(_innermost_first(trace))[:_FRAMES])


def hide_exception_texts() -> None:
    """Print type and location of uncaught exceptions, in any thread, and never their text."""

    def in_thread(args: threading.ExceptHookArgs) -> None:
        _say(args.exc_type, args.exc_traceback)

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        _say(args.exc_type, args.exc_traceback)

    sys.excepthook = lambda kind, _, trace: _say(kind, trace)
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def _say(kind: type[BaseException], trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt) and sys.stderr is not None:
        text = f"localpayment-proxy failed: {kind.__qualname__} in {trail(trace) or 'no code of its own'}"
        sys.stderr.write(f"{text}\nThis is a defect of the sidecar: please report these lines.\n")


def _innermost_first(trace: TracebackType | None) -> Iterator[str]:
    frames: list[TracebackType] = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    for frame in reversed(frames):
        yield f"{frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}"
