"""Decides when an unsettled call is asked about, and what the answers prove. Pure: the time is an argument."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from proxy.ledger.entry import Settled

# Seconds after the call's end. The first ask comes when an answer in time would have come; the last a day later, the
# longest that a payment is documented to stay in progress.
ASKS: Final = (30.0, 120.0, 600.0, 3600.0, 14_400.0, 43_200.0, 86_400.0)
# Operations after which there is something that was not there before.
CREATES: Final = frozenset(
    ("create_payin", "create_payout", "create_subscription", "create_virtual_account", "create_virtual_account_batch")
)
# The state that a change leads to. COMPLETED is documented; the words for cancelled and refunded are not, and where
# Localpayment says others, such a call stays undetermined.
LEADS_TO: Final = {
    "capture_payin": frozenset(("COMPLETED",)),
    "refund_payin": frozenset(("REFUNDED",)),
    "cancel_transaction": frozenset(("CANCELLED", "CANCELED")),
}
# Members of Localpayment's documented error bodies, whose HTTP status is not documented: an answer of nothing else may
# say, with 200, that there is no such payment. A payment's own word for itself is the one that may stand alone.
_OF_ERRORS: Final = frozenset(("status", "errors", "detail", "code", "description", "messages"))
_DONE: Final = "COMPLETED"
_MOST_DETAIL: Final = 64  # characters of a business status
_READ: Final = 64 * 1024  # bytes of an answer that are looked at; longer ones tell nothing


def next_ask(ended_at: float, now: float) -> float | None:
    """Return when the next ask is due, seconds since the Unix epoch; None when the last moment for one has passed.

    What was missed while nothing could be asked is not made up for.
    """
    return next((ended_at + after for after in ASKS if ended_at + after > now), None)


def verdict(operation: str, external_id: str, status: int, body: bytes, *, last: bool) -> tuple[Settled, str] | None:
    """Tell what an answer to a status read proves, with the business status if there is one.

    What a call has created is there, so a JSON object with status 200 that is no error shows that it was carried out.
    What a call has changed was there before, so only the state that the change leads to shows it. A 404 counts when it
    is the answer to the last ask: absent now is not absent for ever. Any other answer proves nothing.

    Args:
        operation: of the call that is asked about.
        external_id: of the same.
        status: of HTTP.
        body: the answer's beginning.
        last: whether no ask follows.
    """
    found = _object(body) if status == HTTPStatus.OK else None
    if found is not None and found.get("externalId", external_id) != external_id:
        found = None  # it speaks of another payment
    word = "" if found is None else business_status(found)
    if found is not None:
        there = operation in CREATES and (word == _DONE or not found.keys() <= _OF_ERRORS)
        if there or word in LEADS_TO.get(operation, ()):
            return Settled.EXECUTED, word
    if not last:
        return None
    return (Settled.NOT_FOUND if status == HTTPStatus.NOT_FOUND else Settled.UNDETERMINED), word


def _object(body: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(body) if len(body) <= _READ else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def business_status(answer: dict[str, object]) -> str:
    """Return Localpayment's own word for a transaction's state, such as `COMPLETED`; empty when it says none.

    Letters, digits, blanks and hyphens only: free text of an answer may hold what must be written nowhere.
    """
    told = answer.get("status")
    word = told.get("description") or told.get("code") if isinstance(told, dict) else told
    if not isinstance(word, str) or len(word) > _MOST_DETAIL:
        return ""
    return word if all(char.isascii() and (char.isalnum() or char in " _-") for char in word) else ""
