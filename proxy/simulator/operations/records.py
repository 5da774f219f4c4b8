"""Answers the operations on subscriptions, plans, virtual accounts and their batches: things that hold no money."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from proxy.simulator.answer import Answer, RefusalError, denied, invalid, not_found, said
from proxy.simulator.ledger import Ledger, Record, digits, ids
from proxy.simulator.operations.payins import currency_in, listed

if TYPE_CHECKING:
    from proxy.simulator.call import Call

# LOCALPAYMENT: a batch holds 10 to 5000 items.
BATCH_SIZES = range(10, 5001)
# A CLABE, Mexico's account number, has 18 digits.
NUMBER_LENGTH = 18


def _status(code: str, description: str, detail: str) -> Record:
    return {"code": code, "description": description, "detail": detail}


# 105 is on Localpayment's list of subscription statuses; 900 is ours, as for transactions.
RUNNING = _status("105", "INPROGRESS", "The subscription is in progress")
ENDED = _status("900", "CANCELLED", "The subscription was cancelled")
COMPLETED = _status("200", "COMPLETED", "Virtual account has been created")
DELETED = _status("200", "DELETED", "Virtual account has been deleted")
SWITCHES = {"enable": COMPLETED, "disable": _status("200", "DISABLED", "Virtual account has been disabled")}


def create_subscription(ledger: Ledger, call: Call) -> Answer:
    """A subscription starts."""
    return _kept(
        ledger,
        ledger.subscriptions,
        call.text("externalId"),
        currency=currency_in(call),
        amount=float(call.amount()),
        planId=str(call.fields.get("planId", "")),
        status=RUNNING,
    )


def update_subscription(ledger: Ledger, call: Call) -> Answer:
    """A running subscription changes its amount."""
    subscription = _running(ledger, call)
    subscription["amount"] = float(call.amount())
    return said(subscription)


def cancel_subscription(ledger: Ledger, call: Call) -> Answer:
    """A running subscription ends."""
    subscription = _running(ledger, call)
    subscription["status"] = ENDED
    return said(subscription)


def get_subscription(ledger: Ledger, call: Call) -> Answer:
    """One subscription."""
    return said(_named(ledger.subscriptions, call, "Subscription"))


def create_plan(ledger: Ledger, call: Call) -> Answer:
    """A plan is written; its id is counted."""
    identifier = f"plan_{len(ledger.plans) + 1}"
    plan: Record = {
        "id": identifier,
        "name": call.text("name", "Plan"),
        "currency": currency_in(call),
        "amount": float(call.amount()),
        "frequency": call.text("frequency", "MONTHLY"),
    }
    ledger.plans[identifier] = plan
    return said(plan, HTTPStatus.CREATED)


def list_plans(ledger: Ledger, call: Call) -> Answer:
    """One page of the plans."""
    return listed(call, "plans", list(ledger.plans.values()))


def get_plan(ledger: Ledger, call: Call) -> Answer:
    """One plan."""
    return said(_named(ledger.plans, call, "Plan", "id"))


def update_plan(ledger: Ledger, call: Call) -> Answer:
    """A plan changes its amount."""
    plan = _named(ledger.plans, call, "Plan", "id")
    plan["amount"] = float(call.amount())
    return said(plan)


def create_virtual_account(ledger: Ledger, call: Call) -> Answer:
    """An account number is given out, always the same for one external id."""
    return _opened(ledger, call.text("externalId"), currency_in(call))


def create_virtual_account_batch(ledger: Ledger, call: Call) -> Answer:
    """Many at once; an item whose id is used already is counted as failed."""
    external_id = call.text("externalId")
    items = call.fields.get("virtualAccounts")
    if not isinstance(items, list) or len(items) not in BATCH_SIZES:
        raise invalid(virtualAccounts=f"A list of {BATCH_SIZES[0]} to {BATCH_SIZES[-1]} items.")
    ledger.claim(external_id)
    opened = sum(_opened_item(ledger, item) for item in items)
    batch: Record = {
        **ids(external_id),
        "total": len(items),
        "completed": opened,
        "failed": len(items) - opened,
        "status": _status("200", "COMPLETED", "The batch was processed"),
    }
    ledger.batches[external_id] = batch
    return said(batch, HTTPStatus.CREATED)


def get_virtual_account_batch(ledger: Ledger, call: Call) -> Answer:
    """What became of a batch."""
    return said(_named(ledger.batches, call, "Batch"))


def get_virtual_account(ledger: Ledger, call: Call) -> Answer:
    """One virtual account; a deleted one is still shown."""
    return said(_named(ledger.virtual_accounts, call, "Virtual account"))


def set_virtual_account_activation(ledger: Ledger, call: Call) -> Answer:
    """Enables or disables, as often as it is said."""
    account = _living(ledger, call)
    account["status"] = SWITCHES[call.parameters["switch"]]
    return said(account)


def delete_virtual_account(ledger: Ledger, call: Call) -> Answer:
    """Deletes, once."""
    account = _living(ledger, call)
    account["status"] = DELETED
    return said(account)


def create_alias(ledger: Ledger, call: Call) -> Answer:
    """An alias is asked for; it holds when it is confirmed."""
    account = _living(ledger, call)
    account["alias"] = {"name": call.text("alias"), "status": "PENDING"}
    return said(account, HTTPStatus.CREATED)


def confirm_alias(ledger: Ledger, call: Call) -> Answer:
    """The alias asked for holds from now on."""
    account = _living(ledger, call)
    alias = account.get("alias")
    if not isinstance(alias, dict):
        raise denied(510, "No alias waits for its confirmation")
    account["alias"] = {**alias, "status": "CONFIRMED"}
    return said(account)


def _named(records: dict[str, Record], call: Call, noun: str, parameter: str = "externalId") -> Record:
    found = records.get(call.parameters[parameter])
    if found is None:
        raise not_found(503, f"{noun} not found")
    return found


def _running(ledger: Ledger, call: Call) -> Record:
    found = _named(ledger.subscriptions, call, "Subscription")
    if found["status"] is ENDED:
        raise denied(506, "The subscription was cancelled before")
    return found


def _living(ledger: Ledger, call: Call) -> Record:
    found = _named(ledger.virtual_accounts, call, "Virtual account")
    if found["status"] is DELETED:
        raise denied(510, "The virtual account was deleted")
    return found


def _kept(ledger: Ledger, records: dict[str, Record], external_id: str, **more: object) -> Answer:
    """Claim an id for a new thing, keep that, and answer it."""
    ledger.claim(external_id)
    records[external_id] = {**ids(external_id), **more}
    return said(records[external_id], HTTPStatus.CREATED)


def _opened(ledger: Ledger, external_id: str, currency: str) -> Answer:
    bank = {"account": {"number": digits(external_id, NUMBER_LENGTH)}}
    return _kept(ledger, ledger.virtual_accounts, external_id, currency=currency, bank=bank, status=COMPLETED)


def _opened_item(ledger: Ledger, item: object) -> bool:
    external_id = item.get("externalId") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(external_id, str) or not external_id:
        return False
    try:
        _opened(ledger, external_id, str(item.get("currency", "MXN")))
    except RefusalError:
        return False
    return True
