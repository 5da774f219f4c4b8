"""Every operation of the simulated Localpayment answers over a real socket; and how the API refuses."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from yarl import URL

from proxy.simulator.catalogue import CATALOGUE
from proxy.simulator.server import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ACCOUNT = "032.840.00000001"
NOW = 1_700_000_000.0
PERIOD = "since=2023-11-14&until=2023-11-14"
PAYIN = {"amount": 10, "currency": "USD", "country": "ARG"}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions(clock=lambda: NOW)) as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(simulator.url) as session:
        async with session.post("/api/token/", json={"username": "any", "password": "thing"}) as answer:
            session.headers["Authorization"] = f"Bearer {(await answer.json())['access']}"
        yield session


def form(*, request: str | None = None) -> aiohttp.FormData:
    fields = aiohttp.FormData()
    fields.add_field("file", b"%PDF", filename="receipt.pdf", content_type="application/pdf")
    if request is not None:
        fields.add_field("request", request, content_type="application/json")
    return fields


# What must be there before, and the call itself: method, target, JSON body or form.
FIXED: dict[str, tuple[str, str, Any]] = {
    "payin": ("POST", "/api/payin", {"externalId": "payin", **PAYIN}),
    "cash": ("POST", "/api/payin", {"externalId": "cash", "paymentMethod": {"type": "Cash"}, **PAYIN}),
    "payout": ("POST", "/api/payout", {"externalId": "payout", **PAYIN}),
    "subscription": ("POST", "/api/payin/subscriptions", {"externalId": "subscription", **PAYIN}),
    "plan": ("POST", "/api/subscriptions/plan", {"name": "Gold", **PAYIN}),
    "account": ("POST", "/api/virtual-account", {"externalId": "account", "currency": "MXN"}),
    "alias": ("POST", "/api/virtual-account/account/alias", {"alias": "shop.mx"}),
    "batch": (
        "POST",
        "/api/virtual-account-batch",
        {"externalId": "batch", "virtualAccounts": [{"externalId": f"b-{number}"} for number in range(10)]},
    ),
}
CALLS: dict[str, tuple[tuple[str, ...], str, str, Any]] = {
    "validate_document": ((), "POST", "/api/validation/document", {"country": "ARG", "document": {"id": "20123456"}}),
    "validate_bank_account": (
        (),
        "POST",
        "/api/validation/bank",
        {"country": "ARG", "bank": {"accountNumber": "12345"}},
    ),
    "lookup_bin": ((), "GET", "/api/resources/bin-validation?bin=450995", None),
    "list_payment_methods": ((), "GET", "/api/resources/payment-methods?country=MEX", None),
    "list_holidays": ((), "GET", "/api/resources/holidays?country=MEX", None),
    "list_banks": ((), "GET", "/api/resources/banks?country=MEX", None),
    "quote_exchange": ((), "GET", "/api/fx/currency-exchange/payin?from=USD&to=BRL", None),
    "quote_installments": ((), "POST", "/api/installments-plans", PAYIN),
    "create_payin": ((), "POST", "/api/payin", {"externalId": "new", **PAYIN}),
    "refund_payin": (("payin",), "PATCH", "/api/payin/payin/refund", {"amount": 5}),
    "cancel_transaction": (("cash",), "PATCH", "/api/transactions/cash/status", {"status": "CANCELLED"}),
    "tokenize_card": ((), "POST", "/api/card", {"card": {"number": "4111111111111111", "cvv": "123"}}),
    "create_subscription": ((), "POST", "/api/payin/subscriptions", {"externalId": "new", **PAYIN}),
    "update_subscription": (("subscription",), "PATCH", "/api/payin/subscriptions/subscription", {"amount": 7}),
    "cancel_subscription": (("subscription",), "PATCH", "/api/payin/subscriptions/subscription/status", {}),
    "get_subscription": (("subscription",), "GET", "/api/subscriptions/subscription", None),
    "create_plan": ((), "POST", "/api/subscriptions/plan", PAYIN),
    "list_plans": (("plan",), "GET", "/api/subscriptions/plan", None),
    "get_plan": (("plan",), "GET", "/api/subscriptions/plan/plan_1", None),
    "update_plan": (("plan",), "PATCH", "/api/subscriptions/plan/plan_1", {"amount": 9}),
    "submit_chargeback_documents": (("payin",), "POST", "/api/chargeback/documentation/payin", "form"),
    "create_virtual_account": ((), "POST", "/api/virtual-account", {"externalId": "new", "currency": "MXN"}),
    "create_virtual_account_batch": ((), *FIXED["batch"]),
    "get_virtual_account_batch": (("batch",), "GET", "/api/virtual-account-batch/batch", None),
    "get_virtual_account": (("account",), "GET", "/api/virtual-account/account", None),
    "set_virtual_account_activation": (("account",), "PUT", "/api/virtual-account/account/activation/disable/", None),
    "delete_virtual_account": (("account",), "DELETE", "/api/virtual-account/account", None),
    "create_alias": (("account",), *FIXED["alias"]),
    "confirm_alias": (("account", "alias"), "POST", "/api/virtual-account/account/alias/confirm", {}),
    "create_payout": ((), "POST", "/api/payout", {"externalId": "new", **PAYIN}),
    "authorize_payouts": (("payout",), "POST", "/api/payout/authorize", {"externalIds": ["payout"]}),
    "cancel_payout": (("payout",), "PATCH", "/api/payout/cancel", {"externalId": "payout"}),
    "create_billing_order": ((), "POST", "/api/billing", {"externalId": "new", **PAYIN}),
    "transfer_internally": (
        (),
        "POST",
        "/api/internal-transfer",
        {"externalId": "new", "destinationAccountNumber": "076.986.00000002", **PAYIN},
    ),
    "exchange_currency": (
        (),
        "POST",
        "/currency-exchange",
        {"externalId": "new", "destinationCurrency": "BRL", **PAYIN},
    ),
    "notify_wire_in": ((), "POST", "/api/account/wire-in", "request form"),
    "wire_out": ((), "POST", "/api/account/wire-out", {"externalId": "new", **PAYIN}),
    "get_transaction": (("payin",), "GET", "/api/transactions/payin", None),
    "get_transaction_status": (("payin",), "GET", "/api/transactions/payin/status", None),
    "list_transactions": (("payin",), "GET", f"/api/transactions/list/filter?{PERIOD}", None),
    "get_balance": ((), "GET", f"/api/accounts/{ACCOUNT}/balance", None),
    "get_activity": (("payin",), "GET", f"/api/accounts/{ACCOUNT}/activity?{PERIOD}", None),
    "get_ticket_image": ((), "GET", "/api/images/Code128C/1100111323", None),
}
HOLD = ("POST", "/api/payin", {"externalId": "hold", **PAYIN})


async def call(client: aiohttp.ClientSession, method: str, target: str, body: Any, **headers: str) -> tuple[int, Any]:
    match body:
        case "form":
            sent: dict[str, Any] = {"data": form()}
        case "request form":
            sent = {"data": form(request='{"externalId": "new", "amount": 10, "currency": "USD"}')}
        case _:
            sent = {"json": body}
    async with client.request(method, target, headers=headers, **sent) as answer:
        content = await answer.json() if answer.content_type == "application/json" else await answer.read()
        return answer.status, content


@pytest.mark.parametrize("operation", sorted({line.name for line in CATALOGUE} - {"capture_payin"}))
async def test_each_operation_of_the_catalogue_takes_effect(
    simulator: Simulator, client: aiohttp.ClientSession, operation: str
) -> None:
    before, method, target, body = CALLS[operation]
    for name in before:
        await call(client, *FIXED[name])
    done = simulator.executions(operation)
    status, content = await call(client, method, target, body)
    assert status in {200, 201}, content
    assert content
    assert simulator.executions(operation) == done + 1
    assert simulator.log[-1].operation == operation


async def test_a_hold_made_with_x_capture_is_captured(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    assert (await call(client, *HOLD, **{"X-Capture": "true"}))[1]["status"]["description"] == "AUTHORIZED"
    status, content = await call(client, "PATCH", "/api/payin/capture/hold", {"amount": 4})
    assert (status, content["amount"], content["status"]["code"]) == (200, 4, "200")
    assert simulator.executions("capture_payin", "hold") == 1


@pytest.mark.parametrize("target", ["/api/currency-exchange", "/currency-exchange", "/currency-exchange/"])
async def test_currency_is_exchanged_under_both_documented_paths(client: aiohttp.ClientSession, target: str) -> None:
    assert (await call(client, "POST", target, CALLS["exchange_currency"][3]))[0] == 201


async def test_a_subscription_is_updated_by_post_too(client: aiohttp.ClientSession) -> None:
    await call(client, *FIXED["subscription"])
    assert (await call(client, "POST", "/api/payin/subscriptions/subscription", {"amount": 3}))[1]["amount"] == 3


async def test_a_repeat_is_counted_as_an_attempt_and_not_as_an_execution(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    assert (await call(client, *FIXED["payin"]))[0] == 201
    status, content = await call(client, *FIXED["payin"])
    assert (status, content["status"]["code"]) == (400, "500")
    assert simulator.executions("create_payin", "payin") == 1
    assert simulator.attempts("create_payin", "payin") == 2
    assert simulator.executions("create_payin", "another") == 0


async def test_the_five_error_shapes_all_occur(client: aiohttp.ClientSession) -> None:
    shapes = {
        ("PUT", "/api/payin", None): {"detail"},
        ("POST", "/api/payin", '{"externalId": "a", "currency": "USD"}'): {"externalId", "status", "errors"},
        ("POST", "/api/virtual-account/v/alias/confirm", None): {"status"},
        ("GET", "/api/transactions/none/status", None): {"code", "description"},
        ("GET", "/api/transactions/list/filter", None): {"errors"},
    }
    await call(client, "POST", "/api/virtual-account", {"externalId": "v", "currency": "MXN"})
    for (method, target, body), keys in shapes.items():
        async with client.request(method, target, data=body) as answer:
            assert 400 <= answer.status < 500
            assert set(await answer.json()) == keys


async def test_a_body_that_is_no_json_is_refused_and_attempted(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    async with client.post("/api/payin", data=b"{") as answer:
        assert answer.status == 400
        assert (await answer.json())["detail"].startswith("JSON parse error - ")
    assert (simulator.attempts("create_payin"), simulator.executions("create_payin")) == (1, 0)


async def test_an_unknown_path_is_an_html_404_and_a_wrong_method_a_405_that_allows(
    client: aiohttp.ClientSession,
) -> None:
    async with client.get("/api/nothing/here") as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")
    async with client.put("/api/subscriptions/plan") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")
        assert "WWW-Authenticate" not in answer.headers


async def test_head_is_answered_as_get_without_a_body(client: aiohttp.ClientSession) -> None:
    async with client.head(f"/api/accounts/{ACCOUNT}/balance") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_a_percent_encoded_card_token_crosses_a_path(client: aiohttp.ClientSession) -> None:
    token = (await call(client, *CALLS["tokenize_card"][1:]))[1]["token"]
    assert token.endswith("=")
    await call(client, "POST", "/api/payin", {"externalId": "a/b+c=", **PAYIN})
    async with client.get(URL("/api/transactions/a%2Fb%2Bc%3D", encoded=True)) as answer:
        content = await answer.json()
    assert content["externalId"] == "a/b+c="


async def test_a_batch_of_megabytes_is_taken(client: aiohttp.ClientSession) -> None:
    items = [{"externalId": f"item-{number}", "beneficiary": {"name": "x" * 400}} for number in range(5000)]
    body = {"externalId": "batch", "virtualAccounts": items}
    sent = io.BytesIO(json.dumps(body).encode())
    assert sent.getbuffer().nbytes > 2_000_000
    async with client.post("/api/virtual-account-batch", data=sent) as answer:
        assert (await answer.json())["completed"] == 5000


async def test_calls_at_once_are_answered_each_by_its_own(client: aiohttp.ClientSession) -> None:
    bodies = [{"externalId": f"p-{number}", **PAYIN} for number in range(50)]
    answers = await asyncio.gather(*(call(client, "POST", "/api/payin", body) for body in bodies))
    assert [content["externalId"] for _, content in answers] == [body["externalId"] for body in bodies]
