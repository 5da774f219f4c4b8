"""Lists, subscriptions, virtual accounts, reference answers; how paths and bodies are read. No sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.simulator.answer import Answer, RefusalError
from proxy.simulator.call import Call, fields_of, moment
from proxy.simulator.catalogue import CATALOGUE, match
from proxy.simulator.ledger import DEFAULT_ACCOUNT, OPENING_BALANCE, Ledger, digits

VIEWS = {operation.name: operation.view for operation in CATALOGUE}
NOW = 1_700_000_000.0
PERIOD = {"since": "2023-11-14", "until": "2023-11-14"}


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


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


def test_a_subscription_runs_until_it_is_cancelled(ledger: Ledger) -> None:
    run(ledger, "create_subscription", externalId="s-1", amount=5, currency="USD")
    assert run(ledger, "update_subscription", "s-1", amount=6)[1]["amount"] == 6
    assert run(ledger, "cancel_subscription", "s-1")[1]["status"]["description"] == "CANCELLED"
    assert run(ledger, "update_subscription", "s-1", amount=7)[1]["status"]["code"] == "506"
    assert run(ledger, "get_subscription", "s-1")[1]["amount"] == 6
    assert run(ledger, "get_subscription", "s-2")[0] == 404
    assert run(ledger, "get_plan", "plan_1")[0] == 404


def test_a_virtual_account_is_switched_off_and_on_and_deleted_once(ledger: Ledger) -> None:
    run(ledger, "create_virtual_account", externalId="v", currency="MXN")
    for switch, description in {"disable": "DISABLED", "enable": "COMPLETED"}.items():
        call = Call(parameters={"externalId": "v", "switch": switch})
        answer = VIEWS["set_virtual_account_activation"](ledger, call)
        assert json.loads(answer.body)["status"]["description"] == description
    assert run(ledger, "confirm_alias", "v")[1] == {
        "status": {"code": "510", "description": "REJECTED", "detail": "No alias waits for its confirmation"}
    }
    assert run(ledger, "delete_virtual_account", "v")[0] == 200
    assert run(ledger, "delete_virtual_account", "v")[1]["status"]["code"] == "510"
    assert run(ledger, "get_virtual_account", "v")[1]["status"]["description"] == "DELETED"
    assert run(ledger, "get_virtual_account", "w")[0] == 404


def test_a_batch_counts_what_it_could_not_open(ledger: Ledger) -> None:
    items: list[object] = [{"externalId": f"v-{number}"} for number in range(10)]
    items += [{"externalId": "v-0"}, {"externalId": 1}, "nonsense"]
    body = run(ledger, "create_virtual_account_batch", externalId="b", virtualAccounts=items)[1]
    assert (body["total"], body["completed"], body["failed"]) == (13, 10, 3)
    assert run(ledger, "get_virtual_account_batch", "b")[1] == body
    assert run(ledger, "get_virtual_account_batch", "c")[0] == 404
    assert len(ledger.virtual_accounts["v-0"]["bank"]["account"]["number"]) == 18  # type: ignore[index]  # a plain record


@pytest.mark.parametrize("items", [None, [], [{}] * 9, [{}] * 5001])
def test_a_batch_holds_10_to_5000_items(ledger: Ledger, items: object) -> None:
    assert run(ledger, "create_virtual_account_batch", externalId="b", virtualAccounts=items)[0] == 400


def test_reference_answers_refuse_what_they_cannot_read(ledger: Ledger) -> None:
    assert run(ledger, "lookup_bin", query={"bin": "45x"})[0] == 400
    assert run(ledger, "tokenize_card", card={"number": "abc"})[0] == 400
    assert run(ledger, "validate_document", country="ARG", document={"id": "1"})[1]["valid"] is False
    assert run(ledger, "submit_chargeback_documents", "order-1")[0] == 415
    assert run(ledger, "notify_wire_in")[0] == 415


def test_the_same_calls_give_the_same_answers(ledger: Ledger) -> None:
    assert pay_in(ledger, "order-1") == pay_in(Ledger(), "order-1")
    assert digits("x", 20) == digits("x", 20) != digits("y", 20)


def test_a_body_is_a_json_object_or_nothing() -> None:
    assert fields_of(b" ", "application/json") == {}
    assert fields_of(b"--b\r\n\r\n\r\n--b--", "multipart/form-data; boundary=b") == {}
    for body in (b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"externalId": "\\ud800"}', b'{"\\udfff": 1}'):
        with pytest.raises(RefusalError) as refused:
            fields_of(body, "application/json")
        assert refused.value.answer.status == 400


def test_a_moment_without_a_zone_is_utc() -> None:
    assert moment("2023-11-14T22:13:20") == moment("2023-11-14T22:13:20Z") == moment("2023-11-14T19:13:20-03:00") == NOW


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/api/subscriptions/plan", "list_plans"),
        ("GET", "/api/subscriptions/planet", "get_subscription"),
        ("PATCH", "/api/payin/capture/refund", "capture_payin"),
        ("PATCH", "/api/payin/subscriptions/refund", "update_subscription"),
        ("GET", "/api/transactions/list/filter", "list_transactions"),
        ("GET", "/api/transactions/list/status", "get_transaction_status"),
        ("POST", "/api/payin/", "create_payin"),
        ("PUT", "/api/virtual-account/v/activation/enable/", "set_virtual_account_activation"),
    ],
)
def test_the_most_literal_path_wins(method: str, path: str, operation: str) -> None:
    found = match(method, path)
    assert found
    assert found.operation
    assert found.operation.name == operation


def test_parameters_are_decoded_after_the_path_was_split() -> None:
    found = match("GET", "/api/subscriptions/a%2Fb%2Bc%3D")
    assert found
    assert found.parameters == {"externalId": "a/b+c="}


def test_a_known_path_with_a_wrong_method_names_the_right_ones() -> None:
    found = match("DELETE", "/api/payin")
    assert found
    assert (found.operation, found.allowed) == (None, ("POST",))
    assert match("GET", "/api/nothing") is None
    assert match("PUT", "/api/virtual-account/v/activation/maybe/") is None


def test_lists_count_pages_from_one_and_show_the_newest_first(ledger: Ledger) -> None:
    for number in range(25):
        pay_in(ledger, f"p-{number}", now=NOW + number)
    first = run(ledger, "list_transactions", query=PERIOD)[1]
    assert (first["page"], first["size"], first["total"]) == (1, 10, 25)
    assert first["transactions"][0]["externalId"] == "p-24"
    third = run(ledger, "list_transactions", query={**PERIOD, "page": "3"})[1]
    assert len(third["transactions"]) == 5
    assert run(ledger, "list_transactions", query={**PERIOD, "page": "4"})[1]["transactions"] == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({}, "since"),
        ({"since": "2023-11-14"}, "until"),
        ({"since": "yesterday", "until": "2023-11-14"}, "since"),
        ({**PERIOD, "page": "0"}, "page"),
        ({**PERIOD, "page": "one"}, "page"),
        ({**PERIOD, "size": "51"}, "size"),
        ({**PERIOD, "size": "0"}, "size"),
    ],
)
@pytest.mark.parametrize("operation", ["list_transactions", "get_activity"])
def test_a_list_names_the_parameter_it_cannot_use(
    ledger: Ledger, operation: str, query: dict[str, str], problem: str
) -> None:
    status, body = run(ledger, operation, DEFAULT_ACCOUNT, query=query)
    assert (status, body["errors"][0]["field"]) == (400, problem)


def test_a_period_leaves_out_what_came_before_and_after(ledger: Ledger) -> None:
    pay_in(ledger, "inside")
    for name, query in {
        "before": {"since": "2023-11-14T22:13:21Z", "until": "2023-11-15"},
        "after": {"since": "2023-11-01", "until": "2023-11-13"},
    }.items():
        assert run(ledger, "list_transactions", query=query)[1]["total"] == 0, name
        assert run(ledger, "get_activity", DEFAULT_ACCOUNT, query=query)[1]["total"] == 0, name
    activity = run(ledger, "get_activity", DEFAULT_ACCOUNT, query=PERIOD)[1]["activity"]
    assert activity[0]["balance"] == float(OPENING_BALANCE) + 50
