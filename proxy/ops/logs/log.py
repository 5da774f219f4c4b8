"""Writes the log to stdout, as JSON or as text for people; never a header, body or path.

It also takes what other libraries log, without its text: aiohttp's and asyncio's may quote what was sent.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import structlog

from proxy.ops.logs.background_writer import STDOUT, BackgroundWriter, LineWriter
from proxy.ops.logs.console import Console
from proxy.ops.logs.redaction import KnownSecrets
from proxy.process.error_location import place, where

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
Style = Literal["json", "console"] | None

# Facts are texts, numbers and what is made of them; anything else is shown by its str(), which hides a Secret's value.
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str).encode


class Threshold:
    """The least severe level that is written; it can be moved while the log is open."""

    def __init__(self, level: str) -> None:
        self.level = level

    @property
    def level(self) -> str:
        """One of LEVELS."""
        return self._level

    @level.setter
    def level(self, level: str) -> None:
        self._level, self._number = level, LEVELS[level]

    def lets(self, number: int) -> bool:
        """Whether something of this severity, as `logging` numbers it, is written."""
        return number >= self._number

    def __call__(self, _: WrappedLogger, level: str, facts: EventDict) -> EventDict:
        """Let an event pass, or drop it; a structlog processor."""
        if LEVELS.get(level, logging.CRITICAL) < self._number:
            raise structlog.DropEvent
        return facts


@dataclass(frozen=True, slots=True)
class Log:
    """An open log.

    Attributes:
        logger: takes facts.
        known: the secrets that no line may hold.
        threshold: the level below which nothing is written.
        writer: where lines wait to be written; None when they are written at once.
        put: writes one that is known to hold no secret.
        render: makes a line of facts.
    """

    logger: FilteringBoundLogger
    known: KnownSecrets
    threshold: Threshold
    writer: BackgroundWriter | None
    put: Callable[[str], object]
    render: Callable[[EventDict], str]

    @property
    def is_json(self) -> bool:
        """Whether lines are JSON."""
        return self.render is json_line

    @property
    def lost(self) -> int:
        """How many lines were never written."""
        return 0 if self.writer is None else self.writer.lost

    @property
    def audit_lost(self) -> int:
        """How many of them were lines of the audit stream."""
        return 0 if self.writer is None else self.writer.audit_lost

    def close(self, seconds: float) -> bool:
        """Write what waits, for at most so many seconds; return whether that was all."""
        return self.writer is None or self.writer.close(seconds)


def open_log(level: str, style: Style, stream: TextIO | None = None) -> Log:
    """Open the log, and send what the standard library's loggers get through it.

    Args:
        level: least severe level that is written.
        style: None chooses console for a terminal and JSON for anything else.
        stream: where to write at once, for tests; None is stdout, through a writer.
    """
    terminal = stream is None and _is_terminal()
    console = terminal if style is None else style == "console"
    known, threshold = KnownSecrets(), Threshold(level)
    render = Console(colours=terminal).render if console else json_line
    writer = None
    if stream is None:
        writer = BackgroundWriter(LineWriter(STDOUT).write, note=lambda count: render(_dropped(count)))
        write: Callable[[str], object] = writer.write
    else:
        write = stream.write

    def emit(line: str) -> None:
        try:
            masked = known.redacted(line)
        except Exception as error:  # noqa: BLE001 - a line must not fail what it tells of, nor go out unmasked
            masked = render(_failed(error))
        write(masked)

    logger: FilteringBoundLogger = structlog.wrap_logger(
        _LineSink(emit),
        processors=[threshold, _stamped, partial(_rendered, render)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        cache_logger_on_first_use=True,
    )
    capture_library_logs(logger)
    if stream is None:
        _capture_crashes(logger)
    return Log(logger, known, threshold, writer, write, render)


def stamped(level: str, event: str, **facts: object) -> EventDict:
    """Return what a line holds: when, how severe, what, and the facts."""
    return {"time": moment(time.time()), "level": level, "event": event, **facts}


def json_line(facts: EventDict) -> str:
    """Make a line of JSON."""
    return _encode(facts) + "\n"


def capture_library_logs(logger: FilteringBoundLogger) -> None:
    """Send what the standard library's loggers get to ours."""
    root = logging.getLogger()
    root.handlers = [_LibraryHandler(logger)]
    root.setLevel(logging.WARNING)
    access = logging.getLogger("aiohttp.access")
    access.propagate = False


class _LineSink:
    """Where structlog writes finished lines, of any level."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = emit


class _LibraryHandler(logging.Handler):
    """A handler that logs logger, source line and severity of a record, but not its text."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        kind, _, trace = record.exc_info or (None, None, None)
        self._logger.log(
            min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL),  # structlog knows the named ones only
            "library.logged",
            logger=record.name,
            at=f"{record.module}:{record.lineno}",
            exception=None if kind is None else kind.__qualname__,
            where=place(trace),
        )


def _capture_crashes(logger: FilteringBoundLogger) -> None:
    """Log type and location of exceptions in threads and finalisers; Python would print their text."""

    def in_thread(args: threading.ExceptHookArgs) -> None:
        logger.critical("thread.failed", exception=args.exc_type.__qualname__, where=place(args.exc_traceback))

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        logger.error("finaliser.failed", exception=args.exc_type.__qualname__, where=place(args.exc_traceback))

    logging.captureWarnings(capture=True)
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def _stamped(_: WrappedLogger, level: str, facts: EventDict) -> EventDict:
    return stamped(level, facts.pop("event"), **facts)


def _rendered(render: Callable[[EventDict], str], _: WrappedLogger, __: str, facts: EventDict) -> str:
    try:
        return render(facts)
    except Exception as error:  # noqa: BLE001 - a line must not fail what it tells of
        return render(_failed(error))


class _Moments:
    """The time as lines show it. A second's text is made once, and kept as one with it: threads log too."""

    def __init__(self) -> None:
        self._latest = (-1.0, "")

    def show(self, at: float) -> str:
        """Return what is `at` seconds since the epoch in UTC, to the millisecond."""
        second, text = self._latest
        if not 0.0 <= at - second < 1.0:
            second = at // 1
            text = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            self._latest = (second, text)
        return f"{text}.{str(int((at - second) * 1000)).zfill(3)}Z"


moment: Final = _Moments().show


def _dropped(count: int) -> EventDict:
    return stamped("warning", "log.lines_dropped", lines=count)


def _failed(error: Exception) -> EventDict:
    return stamped("error", "log.line_failed", exception=type(error).__qualname__, where=where(error))


def _is_terminal() -> bool:
    try:
        return os.isatty(STDOUT)
    except OSError:
        return False
