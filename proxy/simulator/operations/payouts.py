"""Answers the operations on payouts, wires, transfers, exchange and billing orders."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from proxy.simulator.answer import Answer, RefusalError, detailed, invalid, rejected, said
from proxy.simulator.call import moment
from proxy.simulator.ledger import Flow, Ledger, State, Transaction, converted, digits
from proxy.simulator.operations.payins import currency_in, transaction_of

if TYPE_CHECKING:
    from proxy.simulator.call import Call


def create_payout(ledger: Ledger, call: Call) -> Answer:
    """A payout waits for its authorization; no money moves yet."""
    payout = ledger.record(transaction_of(call, Flow.PAYOUT, State.PENDING))
    return said(payout.as_json(), HTTPStatus.CREATED)


def authorize_payouts(ledger: Ledger, call: Call) -> Answer:
    """Releases the payouts named, or with `dateFrom` and `dateTo` **every** one that waits and was created then."""
    released: list[str] = []
    refused: list[dict[str, str]] = []
    for payout in _to_authorize(ledger, call):
        try:
            ledger.post(payout, -payout.amount, call.now)
        except RefusalError:
            refused.append({"externalId": payout.external_id, "code": "505", "description": "Insufficient funds"})
        else:
            payout.state = State.COMPLETED
            released.append(payout.external_id)
    return said({"authorized": released, "rejected": refused})


def cancel_payout(ledger: Ledger, call: Call) -> Answer:
    """A payout that still waits is withdrawn."""
    payout = ledger.find(call.text("externalId"))
    if payout.flow is not Flow.PAYOUT or payout.state is not State.PENDING:
        raise rejected(506, "Transaction could not be cancelled", externalId=payout.external_id)
    payout.state = State.CANCELLED
    return said(payout.as_json())


def create_billing_order(ledger: Ledger, call: Call) -> Answer:
    """An order that the payer settles later."""
    order = transaction_of(call, Flow.BILLING, State.PENDING)
    order.extra["barcode"] = digits(order.external_id, 20)
    return said(ledger.record(order).as_json(), HTTPStatus.CREATED)


def transfer_internally(ledger: Ledger, call: Call) -> Answer:
    """Money moves between two accounts of the merchant."""
    transfer = transaction_of(call, Flow.INTERNAL_TRANSFER, State.COMPLETED)
    target = call.text("destinationAccountNumber")
    ledger.balance(target)
    _moved(ledger, transfer, call.now)
    ledger.post(transfer, transfer.amount, call.now, target)
    transfer.extra["destinationAccountNumber"] = target
    return said(transfer.as_json(), HTTPStatus.CREATED)


def exchange_currency(ledger: Ledger, call: Call) -> Answer:
    """Money changes its currency, at a quote's rate if its token is given and still lives."""
    exchange = transaction_of(call, Flow.CURRENCY_EXCHANGE, State.COMPLETED)
    target = currency_in(call, "destinationCurrency")
    token = call.fields.get("token")
    if token is not None and ledger.quotes.get(str(token), 0.0) <= call.now:
        raise rejected(303, "Invalid exchange rate token", externalId=exchange.external_id)
    amount = converted(exchange.amount, exchange.currency, target)
    exchange.extra |= {"destinationCurrency": target, "destinationAmount": float(amount)}
    return said(ledger.record(exchange).as_json(), HTTPStatus.CREATED)


def notify_wire_in(ledger: Ledger, call: Call) -> Answer:
    """The merchant says that it wired money in; the receipt comes with it."""
    if not call.multipart:
        raise RefusalError(detailed(415, "Unsupported media type in request."))
    wire = ledger.record(transaction_of(call, Flow.WIRE_IN, State.PENDING))
    return said(wire.as_json(), HTTPStatus.CREATED)


def wire_out(ledger: Ledger, call: Call) -> Answer:
    """Money leaves to the merchant's own bank."""
    wire = transaction_of(call, Flow.WIRE_OUT, State.COMPLETED)
    _moved(ledger, wire, call.now)
    return said(wire.as_json(), HTTPStatus.CREATED)


def _moved(ledger: Ledger, transaction: Transaction, now: float) -> None:
    # An id is used up only if the money is there: the caller may try again with less.
    ledger.refuse_duplicate(transaction.external_id)
    ledger.post(transaction, -transaction.amount, now)
    ledger.record(transaction)


def _to_authorize(ledger: Ledger, call: Call) -> list[Transaction]:
    waiting = [
        item for item in ledger.transactions.values() if item.flow is Flow.PAYOUT and item.state is State.PENDING
    ]
    named = call.fields.get("externalIds")
    if isinstance(named, list) and named:
        return [item for item in waiting if item.external_id in named]
    for name in ("externalId", "internalId"):
        if name in call.fields:
            found = ledger.find(call.text(name))
            return [item for item in waiting if item is found]
    since = moment(str(call.fields.get("dateFrom", "")))
    until = moment(str(call.fields.get("dateTo", "")), end=True)
    if since is None or until is None:
        raise invalid(externalIds="Give externalIds, or dateFrom and dateTo as ISO 8601 dates.")
    return [item for item in waiting if since <= item.created <= until]
