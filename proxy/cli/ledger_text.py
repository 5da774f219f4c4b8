"""Writes the ledger's entries as people and programs read them: a table, one entry in full, JSON, CSV. Pure.

A control character in an id, which a caller chooses, never reaches a terminal.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from proxy.ledger.entry import UNSETTLED, State, may_be_asked_about

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proxy.ledger.entry import Entry

HEAD: Final = ("NUMBER", "BEGAN", "OPERATION", "EXTERNAL ID", "STATE", "STATUS", "WHAT BECAME OF IT")
_TIMES: Final = ("at", "ended_at", "next_ask", "settled_at")
# What the text of a formula begins with; some spreadsheets take the full-width signs for the others.
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r")
_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def row(entry: Entry, now: float) -> tuple[str, ...]:
    """Return a line of the table below `HEAD`."""
    intent = entry.intent
    began = f"{moment(intent.at)[:19]}Z".replace("T", " ")
    ended = (entry.state.value, str(entry.status or "-"), fate(_flat(entry), now))
    return tuple(map(printable, (str(entry.number), began, intent.operation, intent.external_id or "-", *ended)))


def fate(facts: Mapping[str, Any], now: float) -> str:
    """Say what became of a call whose end was not seen, or how far that is from being known.

    Args:
        facts: state, status, settled, detail, asks, next_ask and at of an entry, times in seconds since the Unix epoch.
        now: the same.
    """
    if facts["settled"] is not None:
        return str(facts["settled"]) + (f" ({facts['detail']})" if facts["detail"] else "")
    if facts["state"] == State.OPEN:
        return f"no end yet, after {age(now - facts['at'])}"
    if not may_be_asked_about(facts["state"], facts["status"]):
        return ""
    asked = f"asks: {facts['asks']}" if facts["asks"] else "not asked yet"
    if facts["state"] not in UNSETTLED:
        return f"not known; {asked}; `ledger settle` asks"
    return f"not known; {asked}" + ("" if facts["next_ask"] is None else f", next in {age(facts['next_ask'] - now)}")


def in_full(entry: Entry, now: float) -> list[tuple[str, ...]]:
    """Return all that the ledger holds of a call, as names and values."""
    facts = {**as_json(entry), "what became of it": fate(_flat(entry), now)}
    return [(name.replace("_", " "), printable(str(value))) for name, value in facts.items() if value not in (None, "")]


def as_json(entry: Entry) -> dict[str, object]:
    """Return an entry with times in RFC 3339, UTC."""
    return {name: moment(value) if name in _TIMES and value else value for name, value in _flat(entry).items()}


def _flat(entry: Entry) -> dict[str, Any]:
    facts = asdict(entry)
    return {"number": facts.pop("number"), **facts.pop("intent"), **facts}


def json_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Give a JSON object a line."""
    for entry in entries:
        yield json.dumps(as_json(entry)) + "\n"


def csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Give the entries as CSV (RFC 4180), names first; nothing at all without an entry.

    A text that a spreadsheet would carry out gets an apostrophe before it: callers choose ids.
    """
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for entry in entries:
        facts = as_json(entry)
        if writer is None:
            writer = csv.DictWriter(text, list(facts))
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in facts.items()})
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    return ("'" if value.startswith(_FORMULA) else "") + printable(value)


def moment(seconds: float) -> str:
    """Write seconds since the Unix epoch as RFC 3339 does, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(seconds: float) -> str:
    """Write a length of time in its largest whole unit."""
    whole = max(int(seconds), 0)
    return next((f"{whole // length} {unit}" for unit, length in _UNITS if whole >= length), "0 s")


def printable(text: str) -> str:
    """Return a text with a question mark for what a terminal might obey."""
    return "".join(char if char.isprintable() else "?" for char in text)
