"""Answers the operations on payins, transactions and balances."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from proxy.simulator.answer import Answer, RefusalError, rejected, said
from proxy.simulator.call import timestamp
from proxy.simulator.ledger import DEFAULT_ACCOUNT, RATES, Flow, State, Transaction, currency_of, ids, internal_id

if TYPE_CHECKING:
    from proxy.simulator.call import Call
    from proxy.simulator.ledger import Ledger, Record

# Methods by which the payer acts later, somewhere else.
DEFERRED_METHODS = frozenset({"cash", "banktransfer"})


def transaction_of(call: Call, flow: Flow, state: State) -> Transaction:
    """The transaction that a body describes; not recorded yet."""
    external_id = call.text("externalId")
    currency = currency_in(call)
    country = call.fields.get("country")
    method = call.mapping("paymentMethod")
    account = call.text("accountNumber", DEFAULT_ACCOUNT)
    currency_of(account)
    return Transaction(
        external_id=external_id,
        flow=flow,
        amount=call.amount(),
        currency=currency,
        account=account,
        created=call.now,
        state=state,
        country=country if isinstance(country, str) else None,
        # Card numbers and the like stay out: only what an answer shows is kept.
        method={name: method[name] for name in ("type", "code", "flow") if isinstance(method.get(name), str)},
    )


def currency_in(call: Call, name: str = "currency") -> str:
    """A currency of the body that this simulator knows."""
    currency = call.text(name)
    if currency not in RATES:
        raise rejected(502, "Currency not allowed", externalId=call.external_id)
    return currency


def create_payin(ledger: Ledger, call: Call) -> Answer:
    """A card is charged at once, or held with X-Capture; cash and transfers wait for the payer."""
    payin = transaction_of(call, Flow.PAYIN, State.COMPLETED)
    if call.hold:
        payin.state = State.AUTHORIZED
    elif str(payin.method.get("type", "")).lower() in DEFERRED_METHODS:
        payin.state = State.PENDING
        payin.extra["ticket"] = {"id": f"pi_{internal_id(payin.external_id)[:8]}"}
    ledger.record(payin)
    if payin.state is State.COMPLETED:
        ledger.post(payin, payin.amount, call.now)
    return said(payin.as_json(), HTTPStatus.CREATED)


def capture_payin(ledger: Ledger, call: Call) -> Answer:
    """A hold becomes a charge, in full or in part, once."""
    payin = _payin(ledger, call)
    amount = call.amount(payin.amount)
    if payin.state is not State.AUTHORIZED or amount > payin.amount:
        raise _impossible(payin)
    payin.amount = amount
    payin.state = State.COMPLETED
    ledger.post(payin, payin.amount, call.now)
    return said(payin.as_json())


def refund_payin(ledger: Ledger, call: Call) -> Answer:
    """A completed payin is paid back, in full or in parts."""
    payin = _payin(ledger, call)
    left = payin.amount - payin.refunded
    amount = call.amount(left or payin.amount)
    if payin.state is not State.COMPLETED or amount > left:
        raise _impossible(payin)
    ledger.post(payin, -amount, call.now)
    payin.refunded += amount
    if payin.refunded == payin.amount:
        payin.state = State.REFUNDED
    return said(payin.as_json())


def cancel_transaction(ledger: Ledger, call: Call) -> Answer:
    """What has not moved money yet can be cancelled."""
    transaction = ledger.find(call.parameters["externalId"])
    if transaction.state not in {State.PENDING, State.AUTHORIZED}:
        raise rejected(506, "Transaction could not be cancelled", externalId=transaction.external_id)
    transaction.state = State.CANCELLED
    return said(transaction.as_json())


def get_transaction(ledger: Ledger, call: Call) -> Answer:
    """One transaction in full."""
    return said(ledger.find(call.parameters["externalId"]).as_json())


def get_transaction_status(ledger: Ledger, call: Call) -> Answer:
    """One transaction's ids and status, by either id."""
    transaction = ledger.find(call.parameters["id"])
    return said({**ids(transaction.external_id), "status": transaction.status})


def list_transactions(ledger: Ledger, call: Call) -> Answer:
    """The transactions created in a period, newest first."""
    since, until = call.period()
    found = [item.as_json() for item in ledger.transactions.values() if since <= item.created <= until]
    return listed(call, "transactions", found[::-1])


def get_balance(ledger: Ledger, call: Call) -> Answer:
    """What an account holds."""
    number = call.parameters["accountNumber"]
    held = {"currency": currency_of(number), "balance": float(ledger.balance(number))}
    return said({"accountNumber": number, **held, "date": timestamp(call.now)})


def get_activity(ledger: Ledger, call: Call) -> Answer:
    """What moved on an account in a period, newest first."""
    number = call.parameters["accountNumber"]
    currency_of(number)
    since, until = call.period()
    found: list[Record] = [
        {
            "date": timestamp(entry.at),
            "transactionType": entry.flow.value,
            "externalId": entry.external_id,
            "amount": float(entry.amount),
            "balance": float(entry.balance),
        }
        for entry in ledger.entries.get(number, [])
        if since <= entry.at <= until
    ]
    return listed(call, "activity", found[::-1])


def listed(call: Call, name: str, items: list[Record]) -> Answer:
    """One page of a list."""
    number, size = call.page()
    shown = items[(number - 1) * size : number * size]
    return said({"page": number, "size": size, "total": len(items), name: shown})


def _payin(ledger: Ledger, call: Call) -> Transaction:
    found = ledger.find(call.parameters["externalId"])
    if found.flow is not Flow.PAYIN:
        raise _impossible(found)
    return found


def _impossible(transaction: Transaction) -> RefusalError:
    return rejected(510, "Transaction could not be executed", externalId=transaction.external_id)
