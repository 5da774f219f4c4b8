"""Finds one call by what a person knows of it, and notes what a person says became of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.ledger.entry import Settled, Wanted
from proxy.secret import is_card_number

if TYPE_CHECKING:
    from proxy.ledger.entry import Entry
    from proxy.ledger.store import Store

SAYS: Final = (Settled.EXECUTED.value, Settled.NOT_EXECUTED.value)
_LONGEST_NOTE: Final = 200  # characters
_NONE: Final = "no call in the ledger has this number, request id or external id: `ledger list` shows them"
_NAMED: Final = 10  # calls of one id that a message names
# ISO/IEC 7812: a card number has 13 to 19 digits, the last of which checks the others.
_DIGITS: Final = re.compile(r"\d(?:[ -]?\d){12,18}", re.ASCII)


class NotOneCallError(Exception):
    """An id is that of no call, or of several; the text says which, and holds no external id."""

    def __init__(self, text: str, calls: int) -> None:
        super().__init__(text)
        self.calls = calls


def one_call(store: Store, name: str, *, external: bool = False) -> Entry:
    """Return the entry with this number, request id or external id.

    Args:
        store: where to look.
        name: of the call.
        external: whether it is an external id and nothing else, since such a one may look like a number.

    Raises:
        NotOneCallError: there is none, or more than one.
        LedgerError: the ledger cannot be read.
    """
    if not _can_be_held(name):
        raise NotOneCallError(_NONE, 0)
    wanted = Wanted(external_id=name, most=_NAMED + 1) if external else Wanted(name=name, most=_NAMED + 1)
    found = list(store.entries(wanted))
    if not found:
        raise NotOneCallError(_NONE, 0)
    if len(found) > 1:
        numbers = ", ".join(_told(entry, name) for entry in found[:_NAMED])
        more = " and more" if len(found) > _NAMED else ""
        message = f"several calls have this id, so name one by its number: {numbers}{more}"
        raise NotOneCallError(message, len(found))
    return found[0]


def _told(entry: Entry, name: str) -> str:
    other = f", by its request id {entry.intent.request_id}" if str(entry.number) == name else ""
    return f"{entry.number} ({entry.intent.operation}{other})"


def note_problem(note: str) -> str:
    """Say what speaks against a note; empty when nothing does. It stays in the ledger, so no card may stand in it."""
    if len(note) > _LONGEST_NOTE or not note.isprintable():
        return f"at most {_LONGEST_NOTE} printable characters"
    if any(map(is_card_number, _DIGITS.findall(note))):
        return "it holds what looks like a card number: write the number of a ticket or statement instead"
    return ""


def _can_be_held(name: str) -> bool:
    """Whether a database can hold it: an argument that is not UTF-8 comes with halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in name
