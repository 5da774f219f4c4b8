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
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from proxy.ledger import rows
from proxy.ledger.entry import LedgerError, NoLedgerYetError, UnusableLedgerError
from proxy.ledger.store import VERSION, Store, missing_steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg import Connection

    from proxy.ledger.entry import Intent, Ticket
    from proxy.secret import Secret

LEASE: Final = 60.0  # seconds; a sidecar that the database did not hear of for so long is taken for dead
_CONNECT: Final = 2  # seconds, the least that libpq takes
# A server that vanishes without a word is given up after some 5 seconds; libpq would wait for hours.
_VANISHED: Final[dict[str, Any]] = {
    "keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 2, "tcp_user_timeout": 5000,
}  # fmt: skip
# The same for the server: a sidecar whose machine is gone in a transaction keeps the others from the calls in it.
_GONE: Final = (
    "-c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=5 -c tcp_user_timeout=8000"
)
_SCHEMA_LOCK: Final = 0x6C70_6C67  # a number of ours for pg_advisory_lock: one process at a time migrates
_NUMBER: Final = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
MIGRATIONS: Final = (
    (
        *rows.schema(_NUMBER, "BIGINT", "DOUBLE PRECISION"),
        "CREATE TABLE instance (name TEXT PRIMARY KEY, until TIMESTAMPTZ NOT NULL)",
    ),
)


class PostgresStore(Store):
    """A ledger in the schema `localpayment_proxy` of a database; raises LedgerError when psycopg is not installed.

    Args:
        address: a `postgresql://` URL.
        timeout: seconds that a statement may take.
        writes: whether this process carries calls, and so makes the schema. A person's command takes False.
    """

    shared = True
    claim = " FOR UPDATE SKIP LOCKED"

    def __init__(self, address: Secret, *, timeout: float, writes: bool = True) -> None:
        try:
            import psycopg  # noqa: PLC0415 - there only with the extra
        except ImportError as error:
            message = "PROXY_LEDGER needs the extra `postgres`, which is not here: install localpayment-proxy[postgres]"
            raise UnusableLedgerError(message) from error
        self._driver = psycopg
        self._address = address
        self._timeout = timeout
        self._writes = writes
        self._connection: Connection[tuple[Any, ...]] | None = None
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
                f" -c statement_timeout={int(self._timeout * 1000)} {_GONE}",
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
        """Commit all of it at the end, or nothing; connect anew first if the connection was lost.

        Statements are sent without waiting for the answers of those before, which come with the first that is read.
        """
        del writes  # who reads never waits for who writes here, nor the reverse
        if self._connection is None or self._connection.closed:
            self.open()
        try:
            with self._connected.pipeline(), self._connected.transaction():
                yield
        except self._driver.Error as error:
            self.close()  # with what a broken pipeline has left there; and another server may be the primary by now
            raise _error(error) from None

    @property
    def _connected(self) -> Connection[tuple[Any, ...]]:
        if self._connection is None:
            message = "PostgreSQL: no connection"
            raise LedgerError(message)
        return self._connection

    def execute(self, sql: str, values: Sequence[object] = ()) -> Sequence[Sequence[Any]]:
        """Execute a statement; return its rows."""
        return self._connected.execute(_ours(sql), values).fetchall()

    def execute_each(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """Execute a statement once with each of these values."""
        for each in values:
            self._connected.execute(_ours(sql), each)

    def write(self, begun: Sequence[Ticket], ended: Sequence[Ticket]) -> None:
        """Make intents and ends durable in one round trip; see `Store`."""
        locks = sorted({_lock_number(one.intent) for one in begun if one.intent.external_id})
        with self.transaction():
            self.finish(ended)
            if locks:  # all in one order, lest two processes wait in a circle
                self._connected.execute(_LOCK, (locks,))
            cursors = [self._connected.execute(_BEGIN, _begin_values(one)) for one in begun]
        for one, cursor in zip(begun, cursors, strict=True):
            one.earlier = rows.earlier(one.intent, cursor.fetchall())

    def alive(self, instance: str, now: float) -> None:
        """Renew this instance's lease, by the database's clock."""
        del now
        with self.transaction():
            self.execute_each(
                "INSERT INTO instance (name, until) VALUES (?, now() + ? * interval '1 second')"
                " ON CONFLICT (name) DO UPDATE SET until = excluded.until",
                [(instance, LEASE)],
            )
            self.execute_each("DELETE FROM instance WHERE until < now() - interval '1 day'", [()])

    def abandoned(self, instance: str, now: float) -> tuple[str, tuple[object, ...]]:
        """Return a condition for entries of instances whose lease has ended, by the database's clock.

        A call may begin before its instance could tell that it lives, so that a young entry proves nothing.
        """
        del now
        return (
            "instance <> ? AND instance NOT IN (SELECT name FROM instance WHERE until > now())"
            " AND at < extract(epoch FROM now()) - ?"
        ), (instance, LEASE)

    @property
    def encrypted(self) -> bool:
        """Whether the connection is one of TLS."""
        return self._connection is not None and bool(self._connection.pgconn.ssl_in_use)

    def size(self) -> int:
        """Return the bytes of the entries, their indexes included."""
        return int(self.execute("SELECT pg_total_relation_size('entry')")[0][0])

    def verify(self) -> list[str]:
        """Read the whole ledger, and return nothing: PostgreSQL checks its files itself; raises LedgerError."""
        with self.transaction(writes=False):
            self.execute("SELECT count(*) FROM entry")
        return []

    def _migrate(self, connection: Any) -> None:  # noqa: ANN401 - psycopg is imported only where it is installed
        with connection.transaction():
            if self._writes:
                self.execute("SELECT pg_advisory_xact_lock(?)", (_SCHEMA_LOCK,))
            there = self.execute("SELECT to_regclass('schema_version')")[0][0] is not None
            if self._writes and not there:  # asking for it again takes the right to create
                self.execute_each("CREATE SCHEMA IF NOT EXISTS localpayment_proxy", [()])
                self.execute_each("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)", [()])
            elif not there:
                message = "there is no ledger in this database: a sidecar makes it at its first start"
                raise NoLedgerYetError(message)
            version = int(self.execute("SELECT max(version) FROM schema_version")[0][0] or 0)
            steps = missing_steps("the ledger in this database", version, MIGRATIONS, writes=self._writes)
            if not steps:
                return
            for statement in steps:
                self.execute_each(statement, [()])
            self.execute_each("INSERT INTO schema_version (version) VALUES (?)", [(VERSION,)])
            if not version:
                key = secrets.token_hex(32)
                self.execute_each("INSERT INTO fact (name, value) VALUES ('digest_key', ?)", [(key,)])


@cache
def _ours(sql: str) -> bytes:
    """Return a statement as psycopg takes it; there are few."""
    return sql.replace("?", "%s").encode()


_LOCK: Final = b"SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"
# Each statement of a transaction sees what others have committed before it: the default, READ COMMITTED.
_BEGIN: Final = _ours(
    f"WITH earlier AS ({rows.EARLIER}), written AS (INSERT INTO entry ({rows.INTENT})"  # noqa: S608 - ours
    " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT ? OR NOT EXISTS (SELECT FROM earlier)) SELECT * FROM earlier"
)


def _begin_values(ticket: Ticket) -> tuple[object, ...]:
    external_id, operation, since = rows.earlier_values(ticket)
    named = (external_id or None, operation, since)  # NULL equals nothing: a call without an id repeats none
    return (*named, *rows.intent_row(ticket), ticket.refused and not ticket.late)


def _lock_number(intent: Intent) -> int:
    """Return a 63-bit number for a call; two calls with the same one wait for each other, which costs time only."""
    key = f"{intent.operation}\n{intent.external_id}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def _error(error: Exception) -> LedgerError:
    """Say what failed by its class and SQLSTATE: psycopg's texts may quote the address, or values."""
    code = getattr(error, "sqlstate", None)
    reason = f" (SQLSTATE {code})" if code else ": it cannot be reached, or refuses this user"
    return LedgerError(f"PostgreSQL: {type(error).__name__}{reason}")
