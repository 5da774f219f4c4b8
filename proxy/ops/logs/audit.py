"""Writes one audit line for each call with effects: who did what, and how it ended.

It must never write an external id in clear. Ids are keyed hashes: who has the key can find a payment's calls.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import math
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy.api.operations import NAMED
from proxy.config.files import UnusableSettingError
from proxy.ops.admin.key_file import read_key
from proxy.ops.logs.background_writer import AppendedFile, AuditLine, BackgroundWriter
from proxy.ops.logs.log import json_line, stamped
from proxy.policy.rules import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.ops.logs.log import Log
    from proxy.relay.record import Record
    from proxy.secret import Secret

EVENT: Final = "call.audited"
SUMMED: Final = "audit.strangers_refused"
LINES: Final = 20  # refused calls of callers that are not recognised that have a line of their own
WINDOW: Final = 60.0  # seconds in which that many do


class AuditError(UnusableSettingError):
    """The audit stream cannot be opened."""


class Audit:
    """The audit stream.

    Args:
        write: takes a finished line; must not block.
        key: of the hashes; None leaves external ids out.
        writer: the writer that is flushed on close; None for lines that go to the log.
        lost: tells how many lines were never written.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        key: bytes | None,
        writer: BackgroundWriter | None = None,
        lost: Callable[[], int] = lambda: 0,
    ) -> None:
        self._write = write
        self._key = key
        self._writer = writer
        self._lost = lost
        self._unknown_callers = UnknownCallerLimit()

    @property
    def lost(self) -> int:
        """How many lines were never written."""
        return self._lost()

    @property
    def fingerprint(self) -> Callable[[str], str] | None:
        """The keyed hash of external ids; None without a key."""
        return None if self._key is None else partial(fingerprint, self._key)

    def observe(self, record: Record) -> None:
        """Write the line of a call that is over, if it has effects."""
        operation = NAMED[record.operation]
        if not operation.has_effects:
            return
        now = record.started + record.total_seconds
        self._sum_up(now)
        if not self._unknown_callers.has_line(record, now):
            return
        facts = stamped(
            "info",
            EVENT,
            request_id=record.request_id,
            trace_id=record.trace_id,
            caller=record.caller,
            operation=operation.name,
            kind=operation.kind.value,
            method=record.method,
            status=record.status,
            outcome=record.outcome.value,
            code=record.code or None,
            attempts=record.attempts,
            external_id_hmac=record.subject or None,
        )
        self._write(json_line(facts))

    def close(self, seconds: float) -> bool:
        """Write what waits, for at most so many seconds; return whether that was all."""
        self._sum_up(math.inf)
        return self._writer is None or self._writer.close(seconds)

    def _sum_up(self, now: float) -> None:
        if calls := self._unknown_callers.without_line(now):
            self._write(json_line(stamped("warning", SUMMED, calls=calls)))


class UnknownCallerLimit:
    """Decides which refused calls of callers that are not recognised have a line of their own, and counts the others.

    It must never drop a call that was sent to Localpayment, nor one of a caller that the policy knows.
    """

    def __init__(self) -> None:
        self._without = 0
        self._began = -math.inf
        self._written = 0

    def has_line(self, record: Record, now: float) -> bool:
        """Whether a call's line is written; counts it otherwise."""
        if record.caller not in {"", UNKNOWN} or record.attempts:
            return True
        if now - self._began >= WINDOW:
            self._began, self._written = now, 0
        if self._written < LINES:
            self._written += 1
            return True
        self._without += 1
        return False

    def without_line(self, now: float) -> int:
        """Return how many had none, once their window is over, and start counting again; 0 before."""
        if now - self._began < WINDOW:
            return 0
        without, self._without = self._without, 0
        return without


def open_audit(place: Path | str, key_file: Path | None, log: Log) -> Audit:
    """Open the audit stream.

    Args:
        place: a file to append to, or `stdout` for lines among those of the log.
        key_file: holds the hashes' key; None leaves external ids out.
        log: whose secrets no line here may hold either.

    Raises:
        AuditError: the file cannot be opened; blocks for as long as that takes.
        KeyFileError: the key cannot be used.
    """
    key = None if key_file is None else audit_key(key_file).reveal().encode()
    if isinstance(place, str):
        return Audit(lambda line: log.put(AuditLine(log.known.redacted(line))), key, lost=lambda: log.audit_lost)
    try:
        file = AppendedFile(place)
    except OSError as error:
        raise _unusable(place, error) from None
    writer = BackgroundWriter(
        file.write, note=lambda count: json_line(stamped("warning", "audit.lines_dropped", lines=count))
    )
    return Audit(lambda line: writer.write(log.known.redacted(line)), key, writer, lambda: writer.lost)


def audit_key(path: Path) -> Secret:
    """Read the hashes' key. Blocks.

    Raises:
        KeyFileError: it cannot be used.
    """
    return read_key(path, "PROXY_AUDIT_KEY_FILE")


def try_place(place: Path) -> None:
    """Find out whether lines could be appended to a file, and make none. Blocks.

    Raises:
        AuditError: they could not.
    """
    try:
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        needed, wanted = (place, os.W_OK) if place.exists() else (place.parent, os.W_OK | os.X_OK)
        needed.stat()
        if not os.access(needed, wanted):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _unusable(place, error) from None


def _unusable(place: Path, error: OSError) -> AuditError:
    text = f"{error.strerror}; name a file in a folder that this process may write to"
    return AuditError("PROXY_AUDIT_LOG", place, text)


def fingerprint(key: bytes, external_id: str) -> str:
    """Return the HMAC-SHA-256 (RFC 2104) of an id, 64 hex digits."""
    return hmac.new(key, external_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
