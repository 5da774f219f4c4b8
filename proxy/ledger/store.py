"""Keeps entries in a SQL database: what SQLite and PostgreSQL have in common.

It is used from one thread. It never updates what was intended, and never forgets an entry that is not settled.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from proxy.ledger import rows
from proxy.ledger.entry import NoLedgerYetError, Settled, State, Summary, UnusableLedgerError
from proxy.ledger.rows import COLUMNS, LAST, UNSETTLED_ROWS
from proxy.ledger.schedule import next_ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from proxy.ledger.entry import Entry, Ticket, Wanted

VERSION: Final = 1  # of the schema; a migration leads from each to the next
CLAIM: Final = 120.0  # seconds that an ask takes at most, its waits for a token and a connection included
_PAGE: Final = 1000  # entries that are read at once, so that a reader of all of them takes little memory
_PROBED: Final = 16_384  # bytes
PRUNED: Final = 1000  # entries that one transaction forgets, lest calls wait for it


def missing_steps(what: str, version: int, migrations: Sequence[Sequence[str]], *, writes: bool) -> list[str]:
    """Return the statements that lead from a version of the schema to this release's.

    Raises:
        UnusableLedgerError: it is a newer release's; or an older one's, and who asks must not change it.
    """
    if version > VERSION:
        message = f"{what} is of a newer release (schema {version}): run that one"
        raise UnusableLedgerError(message)
    if version < VERSION and not writes:
        message = f"{what} is of an older release (schema {version}): start this release's sidecar"
        raise NoLedgerYetError(message)
    return [statement for step in migrations[version:] for statement in step]


class Store(ABC):
    """A ledger in a database. Everything but the dialect's own is here; `?` stands for a value.

    Attributes:
        shared: whether several sidecars may carry calls with it.
    """

    shared = False

    # What the dialects do differently

    @abstractmethod
    def open(self) -> None:
        """Connect, and bring the schema up to date; raises LedgerError."""

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    def give_up(self) -> None:  # noqa: B027 - a file has nothing to give up
        """End what the store's thread waits for, if that can be, with a LedgerError; called from another thread."""

    @abstractmethod
    def transaction(self, *, writes: bool = True) -> AbstractContextManager[None]:
        """Make all that is done inside durable at its end, or nothing of it; raises LedgerError.

        One that only reads keeps no other process from writing.
        """

    @abstractmethod
    def execute(self, sql: str, values: Sequence[object] = ()) -> Sequence[Sequence[Any]]:
        """Execute a statement that gives rows, inside a transaction; return them."""

    @abstractmethod
    def execute_each(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """Execute a statement once with each of these values, in order, inside a transaction."""

    @abstractmethod
    def write(self, begun: Sequence[Ticket], ended: Sequence[Ticket]) -> None:
        """Make intents and ends durable in one transaction; the begun tickets then hold the calls that they repeat.

        Ends come first: who got `not_sent` and sends the call again at once repeats nothing.

        Raises:
            LedgerError: nothing was written, or all of it was and the database did not get to say so.
        """

    @abstractmethod
    def alive(self, instance: str, now: float) -> None:
        """Tell the other processes of the ledger that this instance still carries its calls."""

    @abstractmethod
    def abandoned(self, instance: str, now: float) -> tuple[str, tuple[object, ...]]:
        """Return a condition, with its values, that holds for entries whose process has died."""

    @abstractmethod
    def size(self) -> int:
        """Return how many bytes the ledger takes; inside a transaction."""

    @abstractmethod
    def verify(self) -> list[str]:
        """Check the database itself; return what is wrong with it. Raises LedgerError where that cannot be told."""

    # Calls

    def finish(self, tickets: Sequence[Ticket]) -> None:
        """Note how calls ended; what was found out meanwhile stays, unless the answer shows that it is wrong."""
        # As they stand there, lest two writers wait in a circle.
        tickets = sorted(tickets, key=lambda ticket: ticket.serial)
        late = [ticket for ticket in tickets if ticket.late]
        self.execute_each(rows.INSERT_IF_MISSING, [rows.intent_row(one) + rows.key(one) for one in late])
        self.execute_each(rows.FINISH, [rows.end_row(one, one.end) for one in tickets if one.end is not None])

    # After a crash, and until it is known what became of each call

    def interrupt(self, instance: str, now: float) -> list[Entry]:
        """Mark the open entries of processes that have died, and return them."""
        condition, values = self.abandoned(instance, now)
        with self.transaction():
            found = self.execute(
                "UPDATE entry SET state = 'interrupted', ended_at = ?, next_ask = ?"  # noqa: S608 - ours
                f" WHERE state = 'open' AND {UNSETTLED_ROWS} AND {condition} RETURNING {COLUMNS}",
                (now, next_ask(now, now), *values),
            )
        return [rows.entry(row) for row in found]

    def due(self, now: float, most: int) -> list[Entry]:
        """Return entries whose status is to be asked for now; they are not due again until `CLAIM` has passed.

        Whoever claims an entry ends that with `settle` or `postpone`; when it dies first, another one asks.
        """
        with self.transaction():
            found = self.execute(
                f"SELECT {COLUMNS} FROM entry WHERE {UNSETTLED_ROWS} AND next_ask <= ?"  # noqa: S608 - ours
                f" ORDER BY next_ask LIMIT ?{self.claim}",
                (now, most),
            )
            entries = [rows.entry(row) for row in found]
            claimed = [(now + CLAIM, entry.number) for entry in entries]
            self.execute_each("UPDATE entry SET next_ask = ? WHERE number = ?", claimed)
        return entries

    claim: str = ""

    def postpone(self, number: int, until: float, *, asked: bool) -> None:
        """Have an entry asked about at another time, after an ask that told nothing, or one that was not made."""
        with self.transaction():
            self.execute_each(
                "UPDATE entry SET asks = asks + ?, next_ask = ? WHERE number = ? AND settled IS NULL",
                [(int(asked), until, number)],
            )

    def settle(self, number: int, settled: Settled, detail: str, now: float) -> bool:
        """Note what became of a call; what a person said before stays. Return whether it was noted."""
        return self._note(number, (settled, detail, now), asks=1, anyway=0)

    def resolve(self, number: int, settled: Settled, note: str, now: float) -> bool:
        """Note what a person says of a call, whatever was known of it; return whether there is such an entry."""
        return self._note(number, (settled, note, now), asks=0, anyway=1)

    def _note(self, number: int, found: tuple[Settled, str, float], *, asks: int, anyway: int) -> bool:
        settled, detail, now = found
        told = None if settled is Settled.UNDETERMINED else rows.repeatable(State.UNKNOWN, 0, settled)
        with self.transaction():
            noted = self.execute(
                "UPDATE entry SET settled = ?, detail = ?, settled_at = ?, asks = asks + ?, next_ask = NULL,"
                " repeatable = COALESCE(CAST(? AS INTEGER), repeatable)"
                " WHERE number = ? AND (settled IS NULL OR ? = 1) RETURNING number",
                (settled.value, detail, now, asks, told, number, anyway),
            )
        return bool(noted)

    # For people

    def entries(self, wanted: Wanted) -> Iterator[Entry]:
        """Give entries, the newest first."""
        conditions, values = rows.conditions(wanted)
        where = " AND ".join(["number < ?", *conditions])
        left, before = LAST if wanted.most is None else wanted.most, LAST
        while left > 0:
            with self.transaction(writes=False):
                found = self.execute(
                    f"SELECT {COLUMNS} FROM entry WHERE {where} ORDER BY number DESC LIMIT ?",  # noqa: S608 - ours
                    (before, *values, min(left, _PAGE)),
                )
            yield from map(rows.entry, found)
            if len(found) < _PAGE:
                return
            left, before = left - _PAGE, found[-1][0]

    def summary(self) -> Summary:
        """Count what is not settled."""
        with self.transaction(writes=False):
            found = self.execute(
                f"SELECT operation, count(*), min(at) FROM entry WHERE {UNSETTLED_ROWS} GROUP BY operation"  # noqa: S608 - ours
            )
            size = self.size()
        return Summary(Counter({row[0]: row[1] for row in found}), min((row[2] for row in found), default=None), size)

    def prune(self, before: float) -> int:
        """Forget entries that began before then and whose calls' fate is known; return how many, `PRUNED` at most.

        Numbers rise with time, so the oldest are the first. The last one stays, so that no number is given twice.
        """
        with self.transaction():
            found = self.execute(
                "DELETE FROM entry WHERE at < ? AND number IN (SELECT number FROM entry"  # noqa: S608 - ours
                f" WHERE number < (SELECT max(number) FROM entry) AND NOT ({UNSETTLED_ROWS}) ORDER BY number LIMIT ?)"
                " RETURNING number",
                (before, PRUNED),
            )
        return len(found)

    def probe(self) -> None:
        """Write more than an intent takes, so that it is known whether one can be written; raises LedgerError."""
        with self.transaction():
            self.execute_each(
                "INSERT INTO fact (name, value) VALUES ('probed', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [(secrets.token_hex(_PROBED),)],  # never the same: SQLite would write nothing
            )

    def key(self) -> bytes:
        """Return the key of the bodies' digests, which the ledger made when it was made."""
        with self.transaction(writes=False):
            found = self.execute("SELECT value FROM fact WHERE name = 'digest_key'")
        return bytes.fromhex(found[0][0])
