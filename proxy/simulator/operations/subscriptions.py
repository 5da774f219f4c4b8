"""Answers the operations on subscriptions and plans."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from proxy.simulator.answer import Answer, RefusalError, coded, denied, said
from proxy.simulator.ledger import Ledger, Record, internal_id
from proxy.simulator.operations.payins import currency_in, listed

if TYPE_CHECKING:
    from proxy.simulator.call import Call

# 105 is on Localpayment's list of subscription statuses; 900 is ours, as for transactions.
RUNNING = {"code": "105", "description": "INPROGRESS", "detail": "The subscription is in progress"}
ENDED = {"code": "900", "description": "CANCELLED", "detail": "The subscription was cancelled"}


def create_subscription(ledger: Ledger, call: Call) -> Answer:
    """A subscription starts."""
    external_id = call.text("externalId")
    subscription: Record = {
        "externalId": external_id,
        "internalId": internal_id(external_id),
        "currency": currency_in(call),
        "amount": float(call.amount()),
        "planId": str(call.fields.get("planId", "")),
        "status": RUNNING,
    }
    ledger.claim(external_id)
    ledger.subscriptions[external_id] = subscription
    return said(subscription, HTTPStatus.CREATED)


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
    return said(_named(ledger, call))


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
    return said(_plan(ledger, call))


def update_plan(ledger: Ledger, call: Call) -> Answer:
    """A plan changes its amount."""
    plan = _plan(ledger, call)
    plan["amount"] = float(call.amount())
    return said(plan)


def _named(ledger: Ledger, call: Call) -> Record:
    found = ledger.subscriptions.get(call.parameters["externalId"])
    if found is None:
        raise RefusalError(coded(404, "503", "Subscription not found"))
    return found


def _running(ledger: Ledger, call: Call) -> Record:
    found = _named(ledger, call)
    if found["status"] is ENDED:
        raise RefusalError(denied("506", "The subscription was cancelled before"))
    return found


def _plan(ledger: Ledger, call: Call) -> Record:
    found = ledger.plans.get(call.parameters["id"])
    if found is None:
        raise RefusalError(coded(404, "503", "Plan not found"))
    return found
