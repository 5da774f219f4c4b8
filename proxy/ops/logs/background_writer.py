"""Writes lines in a thread, from a bounded queue: no call ever waits for the log.

A reader that is slow, stuck or gone costs lines, never time. Lost lines are counted, and reported once writing works
again.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Lines that wait at most. One is about 600 bytes, so that is 5 MB: several seconds of a busy sidecar's log.
WAITING: Final = 8192
_BATCH: Final = 256  # lines that are written at once; a pipe of Linux holds 64 KiB
# Seconds that the thread waits for more lines to come. A line is seen so much later; 50 wake-ups a second cost nothing.
GATHERING: Final = 0.02
_AUDIT_MODE: Final = 0o640
STDOUT: Final = 1
_NEWLINE: Final = b"\n"


class AuditLine(str):
    """A line of the audit stream, whose loss is counted beside that of all lines."""

    __slots__ = ()


class CutError(OSError):
    """Not everything could be written.

    Attributes:
        written: the bytes that were.
    """

    def __init__(self, written: int) -> None:
        super().__init__("not everything could be written")
        self.written = written


class BackgroundWriter:
    """Queues lines, and has a thread write them in order.

    The writing thread is woken once, and sleeps for as long as lines keep coming: each time that it runs, the event
    loop waits for it.

    Args:
        sink: writes all of the bytes, or raises OSError, a CutError if it wrote some of them; may block.
        note: makes the line that says how many lines were lost, its newline included.
        waiting: lines that are held at most.
    """

    def __init__(self, sink: Callable[[bytes], None], *, note: Callable[[int], str], waiting: int = WAITING) -> None:
        self._sink = sink
        self._note = note
        self._waiting = waiting
        self._lines: deque[str] = deque()
        self._woken = False
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._refused = 0  # counted by those who write, as the next is by the thread: neither needs a lock
        self._failed = 0
        self._audit_refused = 0
        self._audit_failed = 0
        self._told = 0
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """How many lines were never written."""
        return self._refused + self._failed

    @property
    def audit_lost(self) -> int:
        """How many of them were an AuditLine."""
        return self._audit_refused + self._audit_failed

    def write(self, line: str) -> None:
        """Take a line, its newline included; drop it when too many wait already. Never blocks."""
        if len(self._lines) >= self._waiting:
            self._refused += 1
            self._audit_refused += isinstance(line, AuditLine)
            return
        self._lines.append(line)
        if not self._woken:
            self._woken = True
            self._wake.set()

    def close(self, seconds: float) -> bool:
        """Write what waits, for at most so many seconds; take nothing more.

        Returns:
            Whether everything was written.
        """
        self._waiting = 0
        self._ending.set()
        self._wake.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while self._lines or not self._ending.is_set():
            self._wake.wait()
            self._ending.wait(GATHERING)
            while batch := self._batch():
                self._write_out(batch)
                if not self._lines:
                    self._ending.wait(GATHERING)  # lines that come meanwhile need not wake the thread
            self._wake.clear()
            self._woken = False  # before looking: a line that comes from here on wakes the thread again
            if self._lines:
                self._wake.set()

    def _batch(self) -> list[str]:
        """Take what waits, up to as many lines as are written at once."""
        return [self._lines.popleft() for _ in range(min(len(self._lines), _BATCH))]

    def _write_out(self, lines: list[str]) -> None:
        untold = self.lost - self._told
        content = b""
        written = 0
        try:
            notes = [self._note(untold)] if untold else []
            content = "".join((*notes, *lines)).encode("utf-8", "backslashreplace")
            self._sink(content)
        except CutError as error:
            written = error.written
        except Exception:  # noqa: BLE001, S110 - the thread's end would lose every line to come; these are counted
            pass
        else:
            written = len(content)
        whole = content[:written].count(_NEWLINE)
        if untold and whole:
            self._told += untold
            whole -= 1
        lost = lines[whole:]
        self._failed += len(lost)
        self._audit_failed += sum(isinstance(line, AuditLine) for line in lost)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it to a descriptor, which another process may have made non-blocking.

    Raises:
        CutError: the other end is gone, the disk is full.
    """
    rest = memoryview(content)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select((), (descriptor,), ())
        except OSError as error:
            raise CutError(len(content) - len(rest)) from error


class LineWriter:
    """Writes lines to a descriptor; a line that was cut is ended before the next one is written.

    Attributes:
        descriptor: where to.
        torn: whether what was written last ends within a line.
    """

    def __init__(self, descriptor: int, *, torn: bool = False) -> None:
        self.descriptor = descriptor
        self.torn = torn

    def write(self, content: bytes) -> None:
        """Write whole lines.

        Raises:
            CutError: that does not work; it counts bytes of the content.
        """
        end = _NEWLINE if self.torn else b""
        whole = end + content
        try:
            write_all(self.descriptor, whole)
        except CutError as error:
            if error.written:
                self.torn = not whole[: error.written].endswith(_NEWLINE)
            raise CutError(max(error.written - len(end), 0)) from error
        self.torn = False


class AppendedFile:
    """A file that lines are appended to, and that may be rotated by renaming it at any time.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = self._opened()

    def write(self, content: bytes) -> None:
        """Append; open the file again first if its name leads to another file, or to none.

        Raises:
            OSError: that does not work.
        """
        if not self._is_current():
            lines = self._opened()
            self.close()
            self._lines = lines
        self._lines.write(content)

    def close(self) -> None:
        """Close it."""
        os.close(self._lines.descriptor)

    def _opened(self) -> LineWriter:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _AUDIT_MODE)
        return LineWriter(descriptor, torn=_is_torn(self._path))

    def _is_current(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._lines.descriptor)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _is_torn(path: Path) -> bool:
    """Whether a file ends within a line, as one does whose last writer met a full disk; False if it may not be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - len(_NEWLINE), 0))
            return file.read() not in {b"", _NEWLINE}
    except OSError:
        return False
