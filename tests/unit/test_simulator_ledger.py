"""The simulated merchant's money: unique ids, state transitions, balances. No sockets."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from proxy.simulator.call import Call
from proxy.simulator.ledger import DEFAULT_ACCOUNT, OPENING_BALANCE, Ledger, State
from tests.support.merchant import NOW, VIEWS, pay_in, run


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def pay_out(ledger: Ledger, external_id: str, amount: float = 50, **more: Any) -> tuple[int, Any]:
    return run(ledger, "create_payout", externalId=external_id, amount=amount, currency="USD", **more)


def test_a_payin_is_credited_and_found_by_both_of_its_ids(ledger: Ledger) -> None:
    status, body = pay_in(ledger, "order-1", 50.25, country="ARG", paymentMethod={"type": "CreditCard", "number": "4"})
    assert status == 201
    assert body["status"]["code"] == "200"
    assert body["paymentMethod"] == {"type": "CreditCard"}
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE + Decimal("50.25")
    for identifier in ("order-1", body["internalId"]):
        assert run(ledger, "get_transaction_status", identifier)[1]["externalId"] == "order-1"


def test_a_repeated_external_id_is_rejected_with_code_500_and_moves_no_money(ledger: Ledger) -> None:
    pay_in(ledger, "order-1")
    status, body = pay_in(ledger, "order-1")
    assert (status, body["status"]["code"], body["externalId"]) == (400, "500", "order-1")
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE + 50


def test_external_ids_are_unique_across_operations(ledger: Ledger) -> None:
    run(ledger, "create_virtual_account", externalId="same", currency="MXN")
    for operation in ("create_payin", "create_payout", "wire_out", "create_subscription", "create_billing_order"):
        assert run(ledger, operation, externalId="same", amount=1, currency="USD")[1]["status"]["code"] == "500"
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE


def test_a_rejected_payin_leaves_its_external_id_free(ledger: Ledger) -> None:
    assert pay_in(ledger, "order-1", -1)[1]["status"]["code"] == "719"
    assert pay_in(ledger, "order-1", 1)[0] == 201


def test_a_hold_is_captured_once_and_only_then_credited(ledger: Ledger) -> None:
    assert pay_in(ledger, "hold", hold=True)[1]["status"]["description"] == "AUTHORIZED"
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE
    assert run(ledger, "capture_payin", "hold", amount=60)[1]["status"]["code"] == "510"
    assert run(ledger, "capture_payin", "hold", amount=40)[1]["amount"] == 40
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE + 40
    assert run(ledger, "capture_payin", "hold")[1]["status"]["code"] == "510"


def test_refunds_add_up_to_the_payin_and_not_further(ledger: Ledger) -> None:
    pay_in(ledger, "order-1", 50)
    assert run(ledger, "refund_payin", "order-1", amount=20)[1]["status"]["code"] == "200"
    assert run(ledger, "refund_payin", "order-1", amount=31)[1]["status"]["code"] == "510"
    status, body = run(ledger, "refund_payin", "order-1")
    assert (status, body["refundedAmount"], body["status"]["description"]) == (200, 50, "REFUNDED")
    assert run(ledger, "refund_payin", "order-1")[1]["status"]["code"] == "510"
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE


def test_a_refund_that_the_account_does_not_hold_changes_nothing(ledger: Ledger) -> None:
    pay_in(ledger, "order-1", 500_000)
    run(ledger, "wire_out", externalId="away", amount=590_000, currency="USD")
    assert run(ledger, "refund_payin", "order-1")[1]["status"]["code"] == "505"
    assert ledger.find("order-1").state is State.COMPLETED


def test_only_a_payin_is_captured_or_refunded(ledger: Ledger) -> None:
    pay_out(ledger, "payout-1")
    assert run(ledger, "refund_payin", "payout-1")[1]["status"]["code"] == "510"
    assert run(ledger, "refund_payin", "nowhere") == (404, {"code": "503", "description": "Transaction not found"})


def test_what_waits_for_the_payer_can_be_cancelled_and_what_is_paid_cannot(ledger: Ledger) -> None:
    waiting = pay_in(ledger, "cash", paymentMethod={"type": "Cash", "code": "1602"})[1]
    assert waiting["status"]["code"] == "100"
    assert waiting["ticket"]
    assert run(ledger, "cancel_transaction", "cash")[1]["status"]["description"] == "CANCELLED"
    assert run(ledger, "cancel_transaction", "cash")[1]["status"]["code"] == "506"
    pay_in(ledger, "paid")
    assert run(ledger, "cancel_transaction", "paid")[1]["status"]["code"] == "506"


def test_a_named_payout_is_released_and_the_others_wait(ledger: Ledger) -> None:
    for name in ("one", "two"):
        pay_out(ledger, name, 100)
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE
    assert run(ledger, "authorize_payouts", externalIds=["one"])[1] == {"authorized": ["one"], "rejected": []}
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE - 100
    assert ledger.find("two").state is State.PENDING


@pytest.mark.parametrize("name", ["externalId", "internalId"])
def test_a_payout_is_released_by_either_of_its_ids(ledger: Ledger, name: str) -> None:
    pay_out(ledger, "other")
    identifier = pay_out(ledger, "one")[1][name]
    assert run(ledger, "authorize_payouts", **{name: identifier})[1] == {"authorized": ["one"], "rejected": []}


def test_a_date_range_releases_every_waiting_payout_created_in_it(ledger: Ledger) -> None:
    pay_out(ledger, "earlier", now=NOW - 90_000)
    for name in ("one", "two"):
        pay_out(ledger, name)
    pay_out(ledger, "huge", 10_000_000)
    body = run(ledger, "authorize_payouts", dateFrom="2023-11-14", dateTo="2023-11-14")[1]
    assert body["authorized"] == ["one", "two"]
    assert [item["externalId"] for item in body["rejected"]] == ["huge"]


@pytest.mark.parametrize(
    "fields", [{}, {"externalIds": []}, {"dateFrom": "2023-11-14"}, {"dateFrom": "x", "dateTo": "y"}]
)
def test_authorizing_nothing_in_particular_is_refused(ledger: Ledger, fields: dict[str, Any]) -> None:
    assert run(ledger, "authorize_payouts", **fields)[0] == 400


def test_a_waiting_payout_is_withdrawn_once(ledger: Ledger) -> None:
    pay_out(ledger, "payout-1")
    assert run(ledger, "cancel_payout", externalId="payout-1")[1]["status"]["description"] == "CANCELLED"
    assert run(ledger, "cancel_payout", externalId="payout-1")[1]["status"]["code"] == "506"


def test_a_wire_beyond_the_balance_is_refused_and_its_id_stays_free(ledger: Ledger) -> None:
    wire: dict[str, Any] = {"externalId": "wire-1", "currency": "USD"}
    assert run(ledger, "wire_out", **wire, amount=100_000.01)[1]["status"]["code"] == "505"
    assert run(ledger, "wire_out", **wire, amount=100_000)[0] == 201
    assert ledger.balance(DEFAULT_ACCOUNT) == 0


def test_an_internal_transfer_converts_into_the_other_accounts_currency(ledger: Ledger) -> None:
    target = "076.986.00000002"
    transfer: dict[str, Any] = {
        "externalId": "t-1",
        "amount": 10,
        "currency": "USD",
        "destinationAccountNumber": target,
    }
    assert run(ledger, "transfer_internally", **transfer)[0] == 201
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE - 10
    assert ledger.balance(target) == OPENING_BALANCE + 50


def test_a_transfer_to_no_account_leaves_the_money_where_it_is(ledger: Ledger) -> None:
    transfer: dict[str, Any] = {
        "externalId": "t-1",
        "amount": 10,
        "currency": "USD",
        "destinationAccountNumber": "nowhere",
    }
    assert run(ledger, "transfer_internally", **transfer) == (
        404,
        {"code": "701", "description": "IncorrectAccountNumber"},
    )
    assert ledger.balance(DEFAULT_ACCOUNT) == OPENING_BALANCE


def test_an_exchange_takes_a_living_quote_and_refuses_a_dead_or_invented_one(ledger: Ledger) -> None:
    call = Call(parameters={"type": "payin"}, query={"from": "USD", "to": "BRL"}, now=NOW)
    quote = json.loads(VIEWS["quote_exchange"](ledger, call).body)
    assert quote["rate"] == 5
    exchange: dict[str, Any] = {"amount": 10, "currency": "USD", "destinationCurrency": "BRL", "token": quote["token"]}
    assert run(ledger, "exchange_currency", externalId="x-1", **exchange)[1]["destinationAmount"] == 50
    late = run(ledger, "exchange_currency", externalId="x-2", now=NOW + 60, **exchange)
    assert late[1]["status"]["code"] == "303"
    assert run(ledger, "exchange_currency", externalId="x-2", **{**exchange, "token": "invented"})[0] == 400
    del exchange["token"]
    assert run(ledger, "exchange_currency", externalId="x-2", **exchange)[0] == 201


@pytest.mark.parametrize("query", [{"from": "USD", "to": "EUR"}, {"from": "XXX"}])
def test_no_rate_is_quoted_for_an_unknown_currency(ledger: Ledger, query: dict[str, str]) -> None:
    assert run(ledger, "quote_exchange", query=query)[0] == 400


def test_a_malformed_account_number_has_no_balance(ledger: Ledger) -> None:
    assert run(ledger, "get_balance", "12345")[0] == 404
    assert run(ledger, "get_balance", "032.999.00000001")[1]["currency"] == "USD"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"externalId": "a", "amount": 1, "currency": "EUR"}, "502"),
        ({"externalId": "a", "amount": None, "currency": "USD"}, "719"),
        ({"externalId": "a", "amount": True, "currency": "USD"}, "719"),
        ({"externalId": "a", "amount": "NaN", "currency": "USD"}, "719"),
        ({"externalId": "a", "amount": "ten", "currency": "USD"}, "719"),
        ({"externalId": "a", "amount": "1e30", "currency": "USD"}, "719"),
        ({"externalId": "a", "amount": 0.001, "currency": "USD"}, "719"),
        ({"externalId": " ", "amount": 1, "currency": "USD"}, "801"),
        ({"externalId": 7, "amount": 1, "currency": "USD"}, "801"),
        ({"amount": 1, "currency": "USD"}, "801"),
    ],
)
def test_an_unusable_payin_is_refused_with_its_reason(ledger: Ledger, fields: dict[str, Any], code: str) -> None:
    status, body = run(ledger, "create_payin", **fields)
    assert (status, body["errors"][0]["code"]) == (400, code)
    assert not ledger.transactions
