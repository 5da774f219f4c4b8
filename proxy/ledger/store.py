"""Keeps entries in a SQL database: what SQLite and PostgreSQL have in common.

It is used from one thread. It never updates what was intended, and never forgets an entry that is not settled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from proxy.ledger.entry import UNSETTLED, Earlier, End, Entry, Intent, Settled, State, may_have_been_done
from proxy.ledger.schedule import next_ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

VERSION: Final = 1  # of the schema; a migration leads from each to the next
CLAIM: Final = 120.0  # seconds that an ask takes at most, its waits for a token and a connection included
_PAGE: Final = 1000  # entries that are read at once, so that a reader of all of them takes little memory
_ALL: Final = 2**63 - 1  # the largest number of an entry
PRUNED: Final = 1000  # entries that one transaction forgets, lest calls wait for it
# Word for word the condition of an index: with values in place of these words no planner sees that the index will do.
UNSETTLED_ROWS: Final = "settled IS NULL AND state IN ('open', 'interrupted', 'unknown', 'orphaned')"
_FOUND: Final = "NULLIF(settled, 'undetermined')"  # what was found out, if anything was
_COLUMNS: Final = (
    "number, request_id, at, instance, caller, operation, kind, external_id, digest, check_path, "
    "state, ended_at, status, attempts, asks, next_ask, settled, detail, settled_at"
)


class LedgerError(Exception):
    """The ledger cannot be read or written; the text says why, and holds nothing of an entry."""


class UnusableLedgerError(LedgerError):
    """The ledger that the settings name cannot be used, and time alone does not mend it."""


@dataclass(eq=False, slots=True)
class Ticket:
    """One call on its way into the ledger.

    Attributes:
        serial: with the intent's instance, the key of its entry: what is written twice by mistake is written once.
        intent: to be written before the call is sent.
        window: seconds in which a call with the same operation and external id makes this one a repeat.
        refused: whether a repeat is to be left out, since its call will not be sent.
        late: whether the call goes on although its intent may not have been written; it is written with its end.
        earlier: the call that it repeats, once that was looked up.
        end: how the call ended, once it has.
    """

    serial: int
    intent: Intent
    window: float
    refused: bool
    late: bool = False
    earlier: Earlier | None = None
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; each condition that is given must hold.

    `name` is the entry's number, its request id or its external id; `unsettled` asks for calls whose fate is not known.
    """

    number: int | None = None
    name: str | None = None
    external_id: str | None = None
    since: float | None = None
    operation: str | None = None
    states: frozenset[State] = frozenset()
    unsettled: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a ledger holds.

    Attributes:
        open: how many calls are not settled, by operation.
        oldest: when the oldest of them began, seconds since the Unix epoch; None when there is none.
        size: bytes that the ledger takes.
    """

    open: Counter[str] = field(default_factory=Counter)
    oldest: float | None = None
    size: int = 0


class Store(ABC):
    """A ledger in a database. Everything but the dialect's own is here; `?` stands for a value."""

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
        """Execute a statement inside a transaction; return its rows."""

    @abstractmethod
    def execute_each(self, sql: str, rows: Sequence[Sequence[object]]) -> list[Sequence[Sequence[Any]]]:
        """Execute a statement once with each of these values, in order, inside a transaction; return their rows."""

    @abstractmethod
    def serialize(self, keys: Sequence[tuple[str, str]]) -> None:
        """Let no other process look for repeats of these calls, each an operation and an external id, meanwhile."""

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
        """Check the database itself; return what is wrong with it."""

    # Calls

    def write(self, begun: Sequence[Ticket], ended: Sequence[Ticket]) -> None:
        """Make intents and ends durable in one transaction; the begun tickets then hold the calls that they repeat.

        Ends come first: who got `not_sent` and sends the call again at once repeats nothing.

        Raises:
            LedgerError: nothing was written, or all of it was and the database did not get to say so.
        """
        earliers: dict[int, Earlier | None] = {}
        fresh = set(map(id, begun))
        with self.transaction():
            self._finish([ticket for ticket in ended if id(ticket) not in fresh])
            keys = {(one.intent.operation, one.intent.external_id) for one in begun if one.intent.external_id}
            self.serialize(sorted(keys))
            for turn in _turns(begun):
                found = dict(zip(map(id, turn), self._earliers(turn), strict=True))
                self._insert([one for one in turn if found[id(one)] is None or not one.refused or one.late])
                earliers |= found
            self._finish([ticket for ticket in ended if id(ticket) in fresh])
        for ticket in begun:
            ticket.earlier = earliers[id(ticket)]

    def _finish(self, tickets: Sequence[Ticket]) -> None:
        """Note how calls ended; what was found out meanwhile, because this process was taken for dead, stays."""
        self._insert([ticket for ticket in tickets if ticket.late])
        self.execute_each(
            "UPDATE entry SET state = ?, ended_at = ?, status = ?, attempts = ?,"  # noqa: S608 - ours
            f" settled = {_FOUND}, settled_at = CASE WHEN {_FOUND} IS NULL THEN NULL ELSE settled_at END,"
            f" next_ask = CASE WHEN {_FOUND} IS NULL THEN CAST(? AS DOUBLE PRECISION) END,"
            f" repeatable = CASE WHEN {_FOUND} IS NULL THEN CAST(? AS INTEGER) ELSE repeatable END"
            " WHERE instance = ? AND serial = ?",
            [_ended(ticket, ticket.end) for ticket in tickets if ticket.end is not None],
        )

    def _insert(self, tickets: Sequence[Ticket]) -> None:
        self.execute_each(
            "INSERT INTO entry"
            " (serial, request_id, at, instance, caller, operation, kind, external_id, digest, check_path)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (instance, serial) DO NOTHING",
            [
                (
                    ticket.serial, intent.request_id, intent.at, intent.instance, intent.caller, intent.operation,
                    intent.kind, intent.external_id, intent.digest, intent.check,
                )
                for ticket in tickets
                for intent in (ticket.intent,)
            ],
        )  # fmt: skip

    def _earliers(self, tickets: Sequence[Ticket]) -> list[Earlier | None]:
        """Return the call that each repeats; none for one without an external id."""
        named = [one for one in tickets if one.intent.external_id]
        found = self.execute_each(
            "SELECT request_id, at, state, status, settled, digest FROM entry"
            " WHERE operation = ? AND external_id = ? AND repeatable = 0 AND at > ?"
            " ORDER BY at DESC LIMIT 1",
            [(one.intent.operation, one.intent.external_id, one.intent.at - one.window) for one in named],
        )
        rows = dict(zip(map(id, named), found, strict=True))
        return [_earlier(one.intent, rows.get(id(one), ())) for one in tickets]

    # After a crash, and until it is known what became of each call

    def interrupt(self, instance: str, now: float) -> list[Entry]:
        """Mark the open entries of processes that have died, and return them."""
        condition, values = self.abandoned(instance, now)
        with self.transaction():
            rows = self.execute(
                "UPDATE entry SET state = 'interrupted', ended_at = ?, next_ask = ?"  # noqa: S608 - ours
                f" WHERE state = 'open' AND {UNSETTLED_ROWS} AND {condition} RETURNING {_COLUMNS}",
                (now, next_ask(now, now), *values),
            )
        return [_entry(row) for row in rows]

    def due(self, now: float, most: int) -> list[Entry]:
        """Return entries whose status is to be asked for now; they are not due again until `CLAIM` has passed.

        Whoever claims an entry ends that with `settle` or `postpone`; when it dies first, another one asks.
        """
        with self.transaction():
            rows = self.execute(
                f"SELECT {_COLUMNS} FROM entry WHERE settled IS NULL AND next_ask <= ?"  # noqa: S608 - names of columns, ours
                f" ORDER BY next_ask LIMIT ?{self.claim}",
                (now, most),
            )
            entries = [_entry(row) for row in rows]
            for entry in entries:
                self.execute("UPDATE entry SET next_ask = ? WHERE number = ?", (now + CLAIM, entry.number))
        return entries

    claim: str = ""

    def postpone(self, number: int, until: float, *, asked: bool) -> None:
        """Have an entry asked about at another time, after an ask that told nothing, or one that was not made."""
        with self.transaction():
            self.execute(
                "UPDATE entry SET asks = asks + ?, next_ask = ? WHERE number = ? AND settled IS NULL",
                (int(asked), until, number),
            )

    def settle(self, number: int, settled: Settled, detail: str, now: float) -> bool:
        """Note what became of a call; what a person said before stays. Return whether it was noted."""
        told = None if settled is Settled.UNDETERMINED else _repeatable(State.UNKNOWN, 0, settled)
        with self.transaction():
            rows = self.execute(
                "UPDATE entry SET settled = ?, detail = ?, settled_at = ?, asks = asks + 1, next_ask = NULL,"
                " repeatable = COALESCE(CAST(? AS INTEGER), repeatable)"
                " WHERE number = ? AND settled IS NULL RETURNING number",
                (settled.value, detail, now, told, number),
            )
        return bool(rows)

    def resolve(self, number: int, settled: Settled, note: str, now: float) -> bool:
        """Note what a person says of a call, whatever was known of it; return whether there is such an entry."""
        with self.transaction():
            rows = self.execute(
                "UPDATE entry SET settled = ?, detail = ?, settled_at = ?, next_ask = NULL, repeatable = ?"
                " WHERE number = ? RETURNING number",
                (settled.value, note, now, _repeatable(State.UNKNOWN, 0, settled), number),
            )
        return bool(rows)

    # For people

    def entries(self, wanted: Wanted) -> Iterator[Entry]:
        """Give entries, the newest first."""
        conditions, values = _conditions(wanted)
        where = " AND ".join(["number < ?", *conditions])
        left, before = _ALL if wanted.most is None else wanted.most, _ALL
        while left > 0:
            with self.transaction(writes=False):
                rows = self.execute(
                    f"SELECT {_COLUMNS} FROM entry WHERE {where} ORDER BY number DESC LIMIT ?",  # noqa: S608 - ours
                    (before, *values, min(left, _PAGE)),
                )
            yield from map(_entry, rows)
            if len(rows) < _PAGE:
                return
            left, before = left - _PAGE, rows[-1][0]

    def summary(self) -> Summary:
        """Count what is not settled."""
        with self.transaction(writes=False):
            rows = self.execute(
                f"SELECT operation, count(*), min(at) FROM entry WHERE {UNSETTLED_ROWS} GROUP BY operation"  # noqa: S608 - ours
            )
            size = self.size()
        return Summary(Counter({row[0]: row[1] for row in rows}), min((row[2] for row in rows), default=None), size)

    def prune(self, before: float) -> int:
        """Forget entries that began before then and whose calls' fate is known; return how many, `PRUNED` at most."""
        with self.transaction():
            rows = self.execute(
                "DELETE FROM entry WHERE number IN"  # noqa: S608 - ours
                f" (SELECT number FROM entry WHERE at < ? AND NOT ({UNSETTLED_ROWS}) LIMIT ?) RETURNING number",
                (before, PRUNED),
            )
        return len(rows)

    def key(self) -> bytes:
        """Return the key of the bodies' digests, which the ledger made when it was made."""
        with self.transaction(writes=False):
            rows = self.execute("SELECT value FROM fact WHERE name = 'digest_key'")
        return bytes.fromhex(rows[0][0])


def _turns(begun: Sequence[Ticket]) -> list[list[Ticket]]:
    """Split tickets so that none of a turn can repeat another one of it."""
    turns: list[list[Ticket]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for ticket in begun:
        key = (ticket.intent.operation, ticket.intent.external_id)
        turn = seen[key] if ticket.intent.external_id else 0
        seen[key] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(ticket)
    return turns


def _ended(ticket: Ticket, end: End) -> tuple[object, ...]:
    due = next_ask(end.at, end.at) if end.state in UNSETTLED else None
    repeatable = _repeatable(end.state, end.status)
    key = (ticket.intent.instance, ticket.serial)
    return (end.state.value, end.at, end.status, end.attempts, due, repeatable, *key)


def _earlier(intent: Intent, rows: Sequence[Sequence[Any]]) -> Earlier | None:
    if not rows:
        return None
    request_id, at, state, status, settled, digest = rows[0]
    same = intent.digest == digest if intent.digest and digest else None
    return Earlier(request_id, at, State(state), status, None if settled is None else Settled(settled), same)


def _repeatable(state: State, status: int, settled: Settled | None = None) -> int:
    return int(not may_have_been_done(state, status, settled))


def _conditions(wanted: Wanted) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    for column, value in (
        ("number = ?", wanted.number),
        ("at >= ?", wanted.since),
        ("operation = ?", wanted.operation),
        ("external_id = ?", wanted.external_id),
    ):
        if value is not None:
            conditions.append(column)
            values.append(value)
    if wanted.name is not None:
        numbers = wanted.name if wanted.name.isascii() and wanted.name.isdigit() else "0"
        conditions.append("(request_id = ? OR external_id = ? OR number = ?)")
        values.extend((wanted.name, wanted.name, min(int(numbers[:19]), _ALL)))
    if wanted.states:
        conditions.append(f"state IN ({', '.join('?' * len(wanted.states))})")
        values.extend(sorted(state.value for state in wanted.states))
    if wanted.unsettled:
        conditions.append(UNSETTLED_ROWS)
    return conditions, values


def _entry(row: Sequence[Any]) -> Entry:
    number, *intent = row[:10]
    state, ended_at, status, attempts, asks, due, settled, detail, settled_at = row[10:]
    return Entry(
        number=number,
        intent=Intent(*intent),
        state=State(state),
        ended_at=ended_at,
        status=status,
        attempts=attempts,
        asks=asks,
        next_ask=due,
        settled=None if settled is None else Settled(settled),
        detail=detail,
        settled_at=settled_at,
    )
