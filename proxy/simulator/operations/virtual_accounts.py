"""Answers the operations on virtual accounts, their batches and aliases."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from proxy.simulator.answer import Answer, RefusalError, coded, denied, invalid, said
from proxy.simulator.ledger import Ledger, Record, digits, internal_id
from proxy.simulator.operations.payins import currency_in

if TYPE_CHECKING:
    from proxy.simulator.call import Call

# LOCALPAYMENT: a batch holds 10 to 5000 items.
BATCH_SIZES = range(10, 5001)
# A CLABE, Mexico's account number, has 18 digits.
NUMBER_LENGTH = 18

COMPLETED = {"code": "200", "description": "COMPLETED", "detail": "Virtual account has been created"}
DISABLED = {"code": "200", "description": "DISABLED", "detail": "Virtual account has been disabled"}
DELETED = {"code": "200", "description": "DELETED", "detail": "Virtual account has been deleted"}
SWITCHES = {"enable": COMPLETED, "disable": DISABLED}


def create_virtual_account(ledger: Ledger, call: Call) -> Answer:
    """An account number is given out, always the same for one external id."""
    external_id = call.text("externalId")
    currency = currency_in(call)
    ledger.claim(external_id)
    return said(_opened(ledger, external_id, currency), HTTPStatus.CREATED)


def create_virtual_account_batch(ledger: Ledger, call: Call) -> Answer:
    """Many at once; an item whose id is used already is counted as failed."""
    external_id = call.text("externalId")
    items = call.fields.get("virtualAccounts")
    if not isinstance(items, list) or len(items) not in BATCH_SIZES:
        raise RefusalError(invalid(virtualAccounts=f"A list of {BATCH_SIZES[0]} to {BATCH_SIZES[-1]} items."))
    ledger.claim(external_id)
    opened = sum(_opened_item(ledger, item) for item in items)
    batch: Record = {
        "externalId": external_id,
        "internalId": internal_id(external_id),
        "total": len(items),
        "completed": opened,
        "failed": len(items) - opened,
        "status": {"code": "200", "description": "COMPLETED", "detail": "The batch was processed"},
    }
    ledger.batches[external_id] = batch
    return said(batch, HTTPStatus.CREATED)


def get_virtual_account_batch(ledger: Ledger, call: Call) -> Answer:
    """What became of a batch."""
    found = ledger.batches.get(call.parameters["externalId"])
    if found is None:
        raise RefusalError(coded(404, "503", "Batch not found"))
    return said(found)


def get_virtual_account(ledger: Ledger, call: Call) -> Answer:
    """One virtual account; a deleted one is still shown."""
    return said(_named(ledger, call))


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
        raise RefusalError(denied("510", "No alias waits for its confirmation"))
    account["alias"] = {**alias, "status": "CONFIRMED"}
    return said(account)


def _opened(ledger: Ledger, external_id: str, currency: str) -> Record:
    account: Record = {
        "externalId": external_id,
        "internalId": internal_id(external_id),
        "currency": currency,
        "bank": {"account": {"number": digits(external_id, NUMBER_LENGTH)}},
        "status": COMPLETED,
    }
    ledger.virtual_accounts[external_id] = account
    return account


def _opened_item(ledger: Ledger, item: object) -> bool:
    external_id = item.get("externalId") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(external_id, str) or not external_id:
        return False
    try:
        ledger.claim(external_id)
    except RefusalError:
        return False
    _opened(ledger, external_id, str(item.get("currency", "MXN")))
    return True


def _named(ledger: Ledger, call: Call) -> Record:
    found = ledger.virtual_accounts.get(call.parameters["externalId"])
    if found is None:
        raise RefusalError(coded(404, "503", "Virtual account not found"))
    return found


def _living(ledger: Ledger, call: Call) -> Record:
    found = _named(ledger, call)
    if found["status"] is DELETED:
        raise RefusalError(denied("510", "The virtual account was deleted"))
    return found
