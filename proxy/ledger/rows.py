"""Turns the ledger's values into rows of a SQL table, and back. Pure; `?` stands for a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proxy.ledger.entry import UNSETTLED, Earlier, End, Entry, Intent, Settled, State, may_have_been_done, was_accepted
from proxy.ledger.schedule import next_ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.ledger.entry import Ticket, Wanted

    Values = tuple[object, ...]

LAST: Final = 2**63 - 1  # the largest number of an entry
# Word for word the condition of an index: with values in place of these words no planner sees that the index will do.
UNSETTLED_ROWS: Final = "settled IS NULL AND state IN ('open', 'interrupted', 'unknown', 'orphaned')"
# What was found out, if anything was; the answer that is `1` for has shown since that the call was carried out.
_FOUND: Final = "CASE WHEN settled = 'executed' OR (settled <> 'undetermined' AND ? = 0) THEN settled END"
INTENT: Final = "serial, request_id, at, instance, caller, operation, kind, external_id, digest, check_path"
COLUMNS: Final = (
    f"number, {INTENT.removeprefix('serial, ')}, "
    "state, ended_at, status, attempts, asks, next_ask, settled, detail, settled_at"
)
EARLIER: Final = (
    "SELECT request_id, at, state, status, settled, digest FROM entry"
    " WHERE external_id = ? AND operation = ? AND repeatable = 0 AND at > ? ORDER BY at DESC LIMIT 1"
)
# An entry's key is instance and serial; the other columns are those of the index that finds it.
_KEY: Final = "external_id = ? AND operation = ? AND at = ? AND instance = ? AND serial = ?"
INSERT_IF_MISSING: Final = (
    f"INSERT INTO entry ({INTENT}) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"  # noqa: S608 - ours
    f" WHERE NOT EXISTS (SELECT 1 FROM entry WHERE {_KEY})"
)
FINISH: Final = (
    "UPDATE entry SET state = ?, ended_at = ?, status = ?, attempts = ?,"  # noqa: S608 - ours
    f" settled = {_FOUND}, settled_at = CASE WHEN {_FOUND} IS NULL THEN NULL ELSE settled_at END,"
    f" next_ask = CASE WHEN {_FOUND} IS NULL THEN CAST(? AS DOUBLE PRECISION) END,"
    f" repeatable = CASE WHEN {_FOUND} IS NULL THEN CAST(? AS INTEGER) ELSE repeatable END"
    f" WHERE {_KEY}"
)
_TABLE: Final = """CREATE TABLE entry (
    number {number}, serial {long} NOT NULL, request_id TEXT NOT NULL, at {real} NOT NULL, instance TEXT NOT NULL,
    caller TEXT NOT NULL, operation TEXT NOT NULL, kind TEXT NOT NULL, external_id TEXT NOT NULL, digest TEXT NOT NULL,
    check_path TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open', ended_at {real}, status INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, asks INTEGER NOT NULL DEFAULT 0, next_ask {real}, settled TEXT,
    detail TEXT NOT NULL DEFAULT '', settled_at {real}, repeatable INTEGER NOT NULL DEFAULT 0
){end}"""


def schema(number: str, long: str, real: str, end: str = "") -> tuple[str, ...]:
    """Return the statements that make tables and indexes, with the engine's own types.

    Each index costs every payment microseconds: one finds a call again, one serves people, one what is not settled.
    """
    return (
        _TABLE.format(number=number, long=long, real=real, end=end),
        "CREATE INDEX entry_call ON entry (external_id, operation, at)",
        "CREATE INDEX entry_request ON entry (request_id)",
        f"CREATE INDEX entry_unsettled ON entry (state) WHERE {UNSETTLED_ROWS}",
        f"CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL){end}",
    )


def intent_row(ticket: Ticket) -> Values:
    """Return what is written before a call, in the order of `INTENT`."""
    intent = ticket.intent
    return (
        ticket.serial, intent.request_id, intent.at, intent.instance, intent.caller, intent.operation, intent.kind,
        intent.external_id, intent.digest, intent.check,
    )  # fmt: skip


def key(ticket: Ticket) -> Values:
    """Return what finds a ticket's entry."""
    intent = ticket.intent
    return (intent.external_id, intent.operation, intent.at, intent.instance, ticket.serial)


def end_row(ticket: Ticket, end: End) -> Values:
    """Return the values of `FINISH`."""
    due = next_ask(end.at, end.at) if end.state in UNSETTLED else None
    done = int(was_accepted(end.state, end.status))
    told = (end.state.value, end.at, end.status, end.attempts)
    return (*told, done, done, done, due, done, repeatable(end.state, end.status), *key(ticket))


def earlier_values(ticket: Ticket) -> Values:
    """Return the values of `EARLIER`."""
    intent = ticket.intent
    return (intent.external_id, intent.operation, intent.at - ticket.window)


def earlier(intent: Intent, rows: Sequence[Sequence[Any]]) -> Earlier | None:
    """Return the call that one repeats, from the rows of `EARLIER`."""
    if not rows:
        return None
    request_id, at, state, status, settled, digest = rows[0]
    same = intent.digest == digest if intent.digest and digest else None
    return Earlier(request_id, at, State(state), status, None if settled is None else Settled(settled), same)


def repeatable(state: State, status: int, settled: Settled | None = None) -> int:
    """Return 1 once the call is known not to have been carried out, so that the same call again repeats nothing."""
    return int(not may_have_been_done(state, status, settled))


def conditions(wanted: Wanted) -> tuple[list[str], list[object]]:
    """Return what an entry must fulfil, and the values."""
    found: list[str] = []
    values: list[object] = []
    for column, value in (
        ("at >= ?", wanted.since),
        ("operation = ?", wanted.operation),
        ("external_id = ?", wanted.external_id),
    ):
        if value is not None:
            found.append(column)
            values.append(value)
    if wanted.numbers is not None:
        found.append(f"number IN ({', '.join('?' * len(wanted.numbers)) or 'NULL'})")
        values.extend(wanted.numbers)
    if wanted.name is not None:
        found.append("(request_id = ? OR external_id = ? OR number = ?)")
        values.extend((wanted.name, wanted.name, _number(wanted.name)))
    if wanted.states:
        found.append(f"state IN ({', '.join('?' * len(wanted.states))})")
        values.extend(sorted(state.value for state in wanted.states))
    if wanted.unsettled:
        found.append(UNSETTLED_ROWS)
    return found, values


def _number(name: str) -> int:
    """Return the number of an entry; 0, which none has, for a name that is not written as one, such as `007`."""
    digits = name.isascii() and name.isdigit() and len(name) < len(str(LAST)) and not name.startswith("0")
    return int(name) if digits else 0


def entry(row: Sequence[Any]) -> Entry:
    """Return the entry of a row of `COLUMNS`."""
    number, *intent = row[:10]
    state, ended_at, status, attempts, asks, due, settled, detail, settled_at = row[10:]
    settled = None if settled is None else Settled(settled)
    return Entry(
        number, Intent(*intent), State(state), ended_at, status, attempts, asks, due, settled, detail, settled_at
    )
