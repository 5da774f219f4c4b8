"""Checks that the outcome ledger can be used where the settings say, and changes nothing there.

No text quotes a database's address.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.cli.check.findings import Finding, Result
from proxy.cli.exits import Exit
from proxy.config import LedgerFile
from proxy.ledger.entry import LedgerError, NoLedgerYetError, UnusableLedgerError
from proxy.ledger.postgres import PostgresStore
from proxy.ledger.sqlite import SqliteStore, file_error

if TYPE_CHECKING:
    from proxy.config import LedgerDatabase, Settings
    from proxy.ledger.store import Store

STEP: Final = "ledger"
_LITTLE: Final = 100 * 2**20  # bytes; some 200,000 calls
_UNPROVEN: Final = "; but without sslmode=verify-full in its address another server could take its place"


def ledger_finding(settings: Settings, *, live: bool) -> Finding:
    """Look at the file that the settings name, or with `live` at the database."""
    place, started = settings.ledger, time.monotonic()
    if place == "off":
        return Finding(STEP, Result.SKIPPED, "off")
    try:
        seen = _file(place) if isinstance(place, LedgerFile) else _database(place, settings.ledger_timeout, live=live)
    except LedgerError as error:
        away = not isinstance(place, LedgerFile) and not isinstance(error, UnusableLedgerError)
        code = Exit.UNAVAILABLE if away else Exit.BAD_CONFIGURATION
        return Finding(STEP, Result.FAILED, str(error), exit_code=code)
    return Finding(STEP, Result.OK, seen, milliseconds=(time.monotonic() - started) * 1000)


def _file(place: LedgerFile) -> str:
    path = place.path
    seen = _held(SqliteStore(path, wall=time.time, writes=False))
    try:
        free = shutil.disk_usage(path.parent).free
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise file_error(path, error) from None
    space = f"{'but only ' if free < _LITTLE else ''}{free / 2**20:,.0f} MiB are free"
    used = "; a sidecar uses it, so that another one would not start" if _locked(path) else ""
    return f"{place}: {seen}; {space}{used}"


def _database(place: LedgerDatabase, timeout: float, *, live: bool) -> str:
    store = PostgresStore(place.address, timeout=timeout, writes=False)
    for file in place.files:
        try:
            file.open("rb").close()
        except OSError as error:
            message = f"PostgreSQL: {file}, which the address names: {error.strerror}"
            raise UnusableLedgerError(message) from None
    unproven = "" if place.proven else _UNPROVEN
    if not live:
        return f"{place}: not connected to, that takes --live{unproven}"
    seen = _held(store)
    return f"{place}: {seen}{unproven}"


def _held(store: Store) -> str:
    """Say what a ledger holds; raises LedgerError."""
    try:
        store.open()
        told = f"calls that are not settled: {store.summary().open.total()}"
    except NoLedgerYetError:
        return "the next start makes it"
    else:
        return told + ("; over TLS" if isinstance(store, PostgresStore) and store.encrypted else "")
    finally:
        store.close()


def _locked(path: Path) -> bool:
    """Whether a process holds the lock of the one that carries calls; asked of the kernel, without taking it."""
    try:
        file = Path(f"{path}.lock").stat()
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return False
    return f" {os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino} " in locks
