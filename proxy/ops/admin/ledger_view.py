"""Shows on the status page which calls the outcome ledger has not settled, and which it settled lately.

It must never hold an external id, nor what a person noted: everybody who reaches the admin listener may read it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from proxy.ledger.entry import Settled
from proxy.ops.admin.markup import Markup, clock, element, joined, notes, since, titled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.ledger.entry import Entry
    from proxy.ledger.ledger import Ledger

    View = Mapping[str, Any]

_BUSINESS_STATUS: Final = re.compile("[A-Z_]{1,40}").fullmatch
_UNDETERMINED: Final = joined(
    "It could not be found out what became of a call: ask Localpayment, and note it with ",
    element("code", "localpayment-proxy ledger resolve"),
)


def facts(entry: Entry) -> dict[str, Any]:
    """Return what may be told of a call to who sees the admin listener; times are seconds since the epoch."""
    return {
        "number": entry.number,
        "request_id": entry.intent.request_id,
        "operation": entry.intent.operation,
        "at": entry.intent.at,
        "state": entry.state.value,
        "status": entry.status,
        "asks": entry.asks,
        "next_ask": entry.next_ask,
        "settled": None if entry.settled is None else entry.settled.value,
        "detail": entry.detail,
        "settled_at": entry.settled_at,
    }


def ledger_view(ledger: Ledger | None, redacted: Callable[[str], str]) -> dict[str, Any] | None:
    """Return the state of the ledger, a few seconds old; None without one. Request ids are masked as in the log."""
    if ledger is None:
        return None

    oldest = [entry.intent.at for entry in ledger.unsettled]
    if ledger.summary.oldest is not None:
        oldest.append(ledger.summary.oldest)

    def shown(entry: Entry) -> dict[str, Any]:
        detail = entry.detail if _BUSINESS_STATUS(entry.detail) else ""
        return facts(entry) | {"request_id": redacted(entry.intent.request_id), "detail": detail}

    return {
        "fault": ledger.fault,
        "open": ledger.summary.open.total(),
        "oldest": min(oldest, default=None),
        "unsettled": [shown(entry) for entry in ledger.unsettled],
        "settled": [shown(entry) for entry in ledger.settled],
    }


def ledger_section(view: View) -> Markup:
    """Return the section of the status page."""
    parts: list[Markup] = []
    if view["fault"]:
        parts.append(element("p", f"It cannot be written: {view['fault']}", class_="bad"))
    if any(call["settled"] == Settled.UNDETERMINED for call in view["settled"]):
        parts.append(element("p", _UNDETERMINED, class_="bad"))
    if view["unsettled"]:
        text = joined("Calls are not settled. Age of the oldest: ", since(view["oldest"]))
        parts.append(element("p", text, class_="bad"))
        parts.append(notes("Not settled", [_unsettled(call) for call in view["unsettled"]]))
    elif not view["fault"]:
        parts.append(element("p", "No call waits to be settled.", class_="good"))
    if view["settled"]:
        parts.append(notes("Settled lately", [_settled(call) for call in view["settled"]]))
    return titled("Outcome ledger", *parts)


def _unsettled(call: View) -> tuple[object, object]:
    asked = f"asks: {call['asks']}" if call["asks"] else "not asked yet"
    following = "" if call["next_ask"] is None else joined(", next at ", clock(call["next_ask"]))
    told = joined(clock(call["at"]), call["operation"], call["state"], between=" ")
    age = joined("; age ", since(call["at"]))
    return told, joined("Request id ", element("code", call["request_id"]), age, f"; {asked}", following)


def _settled(call: View) -> tuple[object, object]:
    word = f"{call['settled']} ({call['detail']})" if call["detail"] else call["settled"]
    shown = element("strong", word, class_="bad") if call["settled"] == Settled.UNDETERMINED else word
    told = joined(clock(call["settled_at"]), call["operation"], shown, f"after {call['state']}", between=" ")
    return told, joined("Request id ", element("code", call["request_id"]))
