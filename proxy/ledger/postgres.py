"""Keeps the ledger in PostgreSQL, so that the sidecars of a fleet see each other's calls.

An instance holds a lease that it renews while it lives; the calls of one whose lease has ended were interrupted. No
error text quotes the connection's address, which holds a password.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from proxy.ledger.store import UNSETTLED_ROWS, VERSION, LedgerError, Store, UnusableLedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.secret import Secret

LEASE: Final = 60.0  # seconds; a sidecar that the database did not hear of for so long is taken for dead
_CONNECT: Final = 2  # seconds, the least that libpq takes
# A server that vanishes without a word is given up after some 5 seconds; libpq would wait for hours.
_VANISHED: Final[dict[str, Any]] = {
    "keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 2, "tcp_user_timeout": 5000,
}  # fmt: skip
_READ_ONLY: Final = "25006"  # a server that was the primary: another one is, perhaps under the same name
_SCHEMA_LOCK: Final = 0x6C70_6C67  # a number of ours for pg_advisory_lock: one process at a time migrates
SCHEMA: Final = (
    """CREATE TABLE entry (
        number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, serial BIGINT NOT NULL,
        request_id TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, instance TEXT NOT NULL, caller TEXT NOT NULL,
        operation TEXT NOT NULL, kind TEXT NOT NULL, external_id TEXT NOT NULL, digest TEXT NOT NULL,
        check_path TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open', ended_at DOUBLE PRECISION,
        status INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, asks INTEGER NOT NULL DEFAULT 0,
        next_ask DOUBLE PRECISION, settled TEXT, detail TEXT NOT NULL DEFAULT '', settled_at DOUBLE PRECISION,
        repeatable INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE UNIQUE INDEX entry_ticket ON entry (instance, serial)",
    "CREATE INDEX entry_call ON entry (external_id, operation, at)",
    "CREATE INDEX entry_request ON entry (request_id)",
    "CREATE INDEX entry_due ON entry (next_ask) WHERE next_ask IS NOT NULL",
    f"CREATE INDEX entry_unsettled ON entry (state) WHERE {UNSETTLED_ROWS}",
    "CREATE INDEX entry_at ON entry (at)",
    "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE instance (name TEXT PRIMARY KEY, until TIMESTAMPTZ NOT NULL)",
)  # fmt: skip
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (SCHEMA,)


class PostgresStore(Store):
    """A ledger in the schema `localpayment_proxy` of a database; raises LedgerError when psycopg is not installed.

    Args:
        address: a `postgresql://` URL.
        timeout: seconds that a statement may take.
        writes: whether this process carries calls, and so makes the schema. A person's command takes False.
    """

    claim = " FOR UPDATE SKIP LOCKED"

    def __init__(self, address: Secret, *, timeout: float, writes: bool = True) -> None:
        try:
            import psycopg  # noqa: PLC0415 - there only with the extra
        except ImportError as error:
            message = "a ledger in PostgreSQL takes the extra: pip install 'localpayment-proxy[postgres]'"
            raise UnusableLedgerError(message) from error
        self._driver = psycopg
        self._address = address
        self._timeout = timeout
        self._writes = writes
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._socket: socket.socket | None = None  # the connection's, under a descriptor of its own
        self._closing = threading.Lock()  # lest the descriptor be another file's by then

    def open(self) -> None:
        """Connect, and bring the schema up to date; raises LedgerError."""
        self.close()
        try:
            self._connection = self._driver.connect(
                self._address.reveal(),
                autocommit=True,
                connect_timeout=_CONNECT,
                # What the server's own configuration may say must not make an intent less durable.
                options="-c search_path=localpayment_proxy -c synchronous_commit=on"
                f" -c statement_timeout={int(self._timeout * 1000)}",
                application_name="localpayment-proxy",
                **_VANISHED,
            )
            self._socket = socket.socket(fileno=os.dup(self._connection.fileno()))
            self._migrate(self._connection)
        except self._driver.Error as error:
            self.close()
            raise _error(error) from None
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        with self._closing:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
        if self._connection is not None:
            with suppress(self._driver.Error):
                self._connection.close()
            self._connection = None

    def give_up(self) -> None:
        """Cut the connection to a server that stands still: the kernel beside it may go on to say that it is there."""
        with self._closing, suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def transaction(self, *, writes: bool = True) -> Iterator[None]:
        """Commit all of it at the end, or nothing; connect anew first if the connection was lost."""
        del writes  # who reads never waits for who writes here, nor the reverse
        if self._connection is None or self._connection.closed:
            self.open()
        connection = self._connection
        if connection is None:
            message = "no connection"
            raise LedgerError(message)
        try:
            with connection.transaction():
                yield
        except self._driver.Error as error:
            if error.sqlstate == _READ_ONLY:
                self.close()
            raise _error(error) from None

    def execute(self, sql: str, values: Sequence[object] = ()) -> Sequence[Sequence[Any]]:
        """Execute a statement; return its rows."""
        if self._connection is None:
            message = "no connection"
            raise LedgerError(message)
        cursor = self._connection.execute(sql.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else ()

    def execute_each(self, sql: str, rows: Sequence[Sequence[object]]) -> list[Sequence[Sequence[Any]]]:
        """Execute a statement once with each of these values, without waiting in between; return their rows."""
        if self._connection is None or not rows:
            return []
        statement = sql.replace("?", "%s").encode()
        with self._connection.pipeline():
            cursors = [self._connection.execute(statement, values) for values in rows]
        return [cursor.fetchall() if cursor.description else () for cursor in cursors]

    def serialize(self, keys: Sequence[tuple[str, str]]) -> None:
        """Lock each call until the transaction ends, all in one order, lest two processes wait in a circle."""
        numbers = sorted({_lock_number(key) for key in keys})
        self.execute_each("SELECT pg_advisory_xact_lock(?)", [(number,) for number in numbers])

    def alive(self, instance: str, now: float) -> None:
        """Renew this instance's lease, by the database's clock."""
        del now
        with self.transaction():
            self.execute(
                "INSERT INTO instance (name, until) VALUES (?, now() + ? * interval '1 second')"
                " ON CONFLICT (name) DO UPDATE SET until = excluded.until",
                (instance, LEASE),
            )
            self.execute("DELETE FROM instance WHERE until < now() - interval '1 day'")

    def abandoned(self, instance: str, now: float) -> tuple[str, tuple[object, ...]]:
        """Return a condition for entries of instances whose lease has ended, by the database's clock.

        A call may begin before its instance could tell that it lives, so that a young entry proves nothing.
        """
        del now
        return (
            "instance <> ? AND instance NOT IN (SELECT name FROM instance WHERE until > now())"
            " AND at < extract(epoch FROM now()) - ?"
        ), (instance, LEASE)

    def size(self) -> int:
        """Return the bytes of the entries, their indexes included."""
        return int(self.execute("SELECT pg_total_relation_size('entry')")[0][0])

    def verify(self) -> list[str]:
        """Return what is wrong: PostgreSQL checks its files itself, so only that the ledger can be read."""
        try:
            with self.transaction(writes=False):
                self.execute("SELECT count(*) FROM entry")
        except LedgerError as error:
            return [str(error)]
        return []

    def _migrate(self, connection: Any) -> None:  # noqa: ANN401 - psycopg is imported only where it is installed
        with connection.transaction():
            if self._writes:
                self.execute("SELECT pg_advisory_xact_lock(?)", (_SCHEMA_LOCK,))
                self.execute("CREATE SCHEMA IF NOT EXISTS localpayment_proxy")
                self.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
            elif self.execute("SELECT to_regclass('schema_version')")[0][0] is None:
                message = "there is no ledger in this database: a sidecar makes it at its first start"
                raise UnusableLedgerError(message)
            version = int(self.execute("SELECT max(version) FROM schema_version")[0][0] or 0)
            if version > VERSION:
                message = f"the ledger's schema is of a newer release ({version}): run that one"
                raise UnusableLedgerError(message)
            if version == VERSION:
                return
            if not self._writes:
                message = f"the ledger's schema is of an older release ({version}): start this release's sidecar"
                raise UnusableLedgerError(message)
            for statement in (statement for step in MIGRATIONS[version:] for statement in step):
                self.execute(statement)
            self.execute("INSERT INTO schema_version (version) VALUES (?)", (VERSION,))
            if not version:
                key = secrets.token_hex(32)
                self.execute("INSERT INTO fact (name, value) VALUES ('digest_key', ?)", (key,))


def _lock_number(key: tuple[str, str]) -> int:
    """Return a 63-bit number for a call; two calls with the same one wait for each other, which costs time only."""
    return int.from_bytes(hashlib.sha256("\n".join(key).encode()).digest()[:8], "big") >> 1


def _error(error: Exception) -> LedgerError:
    """Say what failed by its class and SQLSTATE: psycopg's texts may quote the address, or values."""
    code = getattr(error, "sqlstate", None)
    reason = f" (SQLSTATE {code})" if code else ": it cannot be reached, or refuses this user"
    return LedgerError(f"PostgreSQL: {type(error).__name__}{reason}")
