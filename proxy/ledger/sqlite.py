"""Keeps the ledger in a SQLite file: one process writes it, others may read.

A commit is on the disk when it returns (WAL with `synchronous=FULL`). A damaged file is set aside under another name
and told; it is never repaired, and never replaced in silence.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.ledger import rows
from proxy.ledger.entry import LedgerError, NoLedgerYetError, UnusableLedgerError
from proxy.ledger.store import VERSION, Store, missing_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from proxy.ledger.entry import Earlier, Ticket

_MODE: Final = 0o600
_BUSY: Final = 5.0  # seconds that a writer waits for a person's command, which takes milliseconds
_INSERT: Final = f"INSERT INTO entry ({rows.INTENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - ours
# What leads from each version of the schema to the next; the first entry leads from an empty file to version 1.
MIGRATIONS: Final = (rows.schema("INTEGER PRIMARY KEY", "INTEGER", "REAL", " STRICT"),)


class SqliteStore(Store):
    """A ledger in one file.

    Args:
        path: the file; made when it is missing.
        wall: seconds since the Unix epoch, for the name of a file that is set aside.
        damaged: told where a damaged file was set aside.
        writes: whether this process carries calls; a file has one such process. A person's command takes False.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float],
        damaged: Callable[[Path], None] = lambda _path: None,
        writes: bool = True,
    ) -> None:
        self._path = path
        self._wall = wall
        self._damaged = damaged
        self._writes = writes
        self._lock_path = Path(f"{path}.lock")
        self._lock: int | None = None
        self._file: os.stat_result
        self._database: sqlite3.Connection

    def open(self) -> None:
        """Open the file, or a new one in the place of a damaged one; raises LedgerError."""
        try:
            if self._writes:
                self._lock = self._locked()
            elif not self._path.exists():
                message = f"there is no ledger at {self._path}: a sidecar makes it at its first start"
                raise NoLedgerYetError(message)
            self._database = self._sound() if self._writes else self._connected()
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise file_error(self._path, error) from error
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the last connection to it moves the WAL into it."""
        with suppress(AttributeError, sqlite3.Error):
            self._database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def transaction(self, *, writes: bool = True) -> Iterator[None]:
        """Commit all of it at the end, or nothing; raises LedgerError."""
        if writes and self._writes:
            self._check_file()
        try:
            self._database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise file_error(self._path, error) from error

    def execute(self, sql: str, values: Sequence[object] = ()) -> Sequence[Sequence[Any]]:
        """Execute a statement; return its rows."""
        return self._database.execute(sql, tuple(values)).fetchall()

    def execute_each(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """Execute a statement once with each of these values."""
        if values:
            self._database.executemany(sql, values)

    def write(self, begun: Sequence[Ticket], ended: Sequence[Ticket]) -> None:
        """Make intents and ends durable; see `Store`."""
        found: list[Earlier | None] = []
        with self.transaction():
            execute = self._database.execute
            self.finish(ended)
            for one in begun:
                named = one.intent.external_id
                earlier = execute(rows.EARLIER, rows.earlier_values(one)).fetchall() if named else ()
                if not (earlier and one.refused) or one.late:
                    execute(_INSERT, rows.intent_row(one))
                found.append(rows.earlier(one.intent, earlier))
        for one, repeated in zip(begun, found, strict=True):
            one.earlier = repeated

    def alive(self, instance: str, now: float) -> None:
        """Do nothing: the lock on the file tells."""

    def abandoned(self, instance: str, now: float) -> tuple[str, tuple[object, ...]]:
        """Return a condition for entries of other processes: this one holds the lock, so that those have ended."""
        del now
        return "instance <> ?", (instance,)

    def size(self) -> int:
        """Return the bytes of the file and its WAL."""
        total = 0
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                total += Path(f"{self._path}{suffix}").stat().st_size
        return total

    def verify(self) -> list[str]:
        """Return what SQLite's own check of the whole file finds."""
        try:
            rows = self._database.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.Error as error:
            return [str(error)]
        return [row[0] for row in rows if row[0] != "ok"]

    def _check_file(self) -> None:
        """Raise LedgerError where nobody would find again what is written: SQLite goes on in a file without a name.

        A lock that was removed is taken anew; so long, another sidecar could have begun to write.
        """
        if not _is_there(self._path, self._file):
            message = f"{self._path} was removed or replaced while it was in use: put it back, or restart the sidecar"
            raise LedgerError(message)
        if self._lock is not None and not _is_there(self._lock_path, os.fstat(self._lock)):
            removed = self._lock
            try:
                self._lock = self._locked()
            except OSError as error:
                raise file_error(self._lock_path, error) from error
            os.close(removed)

    def _locked(self) -> int:
        """Take the lock of the process that carries calls with this ledger; the kernel frees it with the process."""
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            message = f"another sidecar uses the ledger {self._path}: give each a file, or let them share PostgreSQL"
            raise UnusableLedgerError(message) from None
        return lock

    def _connected(self) -> sqlite3.Connection:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)  # SQLite would ask the umask
        try:
            self._file = os.fstat(file)
            if self._writes:
                os.fchmod(file, _MODE)  # of a file that was there before; SQLite gives its WAL the same
        finally:
            os.close(file)
        # Opened in one thread and used in another, never by two at once: see `Store`.
        database = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
        except BaseException:
            database.close()
            raise
        return database

    def _sound(self) -> sqlite3.Connection:
        """Return a connection to a file that SQLite's quick check finds nothing wrong with."""
        try:
            database = self._connected()
            try:
                if database.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]:
                    return database
            except BaseException:
                database.close()
                raise
            database.close()
        except sqlite3.OperationalError:
            raise  # the disk is full, the file cannot be opened: no damage
        except sqlite3.DatabaseError:
            pass
        self._set_aside()
        return self._connected()

    def _set_aside(self) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(self._wall())}")
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").rename(f"{aside}{suffix}")
        self._damaged(aside)

    def _migrate(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        steps = missing_steps(str(self._path), version, MIGRATIONS, writes=self._writes)
        if not steps:
            return
        with self.transaction():
            for statement in steps:
                self._database.execute(statement)
            if not version:
                self.execute("INSERT INTO fact (name, value) VALUES ('digest_key', ?)", (secrets.token_hex(32),))
            self._database.execute(f"PRAGMA user_version = {VERSION}")


def _is_there(path: Path, file: os.stat_result) -> bool:
    """Whether the path still leads to this file."""
    try:
        return os.path.samestat(path.stat(), file)
    except OSError:
        return False


def file_error(path: Path, error: OSError | sqlite3.Error) -> LedgerError:
    """Return what is told of a file that cannot be used."""
    if isinstance(error, OSError):
        owner = "run this as the user who owns it, or " if isinstance(error, PermissionError) else ""
        return LedgerError(f"{path}: {error.strerror}: {owner}name a file in a folder that this user may write to")
    return LedgerError(f"{path}: {error}")
