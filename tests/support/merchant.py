"""Asks the simulated merchant's operations without a socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from proxy.simulator.answer import Answer, RefusalError
from proxy.simulator.call import Call
from proxy.simulator.catalogue import CATALOGUE

if TYPE_CHECKING:
    from proxy.simulator.ledger import Ledger

VIEWS = {operation.name: operation.view for operation in CATALOGUE}
NOW = 1_700_000_000.0


def run(
    ledger: Ledger,
    operation: str,
    path_id: str | None = None,
    *,
    hold: bool = False,
    query: dict[str, str] | None = None,
    now: float = NOW,
    **fields: Any,
) -> tuple[int, Any]:
    parameters = {} if path_id is None else {"externalId": path_id, "id": path_id, "accountNumber": path_id}
    call = Call(parameters=parameters, query=query or {}, fields=fields, hold=hold, now=now)
    try:
        answer: Answer = VIEWS[operation](ledger, call)
    except RefusalError as refusal:
        answer = refusal.answer
    return answer.status, json.loads(answer.body)


def pay_in(ledger: Ledger, external_id: str, amount: float = 50, **more: Any) -> tuple[int, Any]:
    return run(ledger, "create_payin", externalId=external_id, amount=amount, currency="USD", **more)
