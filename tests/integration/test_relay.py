"""Callers without credentials are served by Localpayment through a sidecar, also while tokens die."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from proxy.config import EgressProxy
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.scripted_origin import Wire, origin
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAYIN = {"externalId": "order-1", "amount": 12.5, "currency": "MXN", "country": "MEX"}
BALANCE = "/api/accounts/032.840.00000001/balance"


@pytest.fixture
async def localpayment() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def relay(localpayment: Simulator) -> AsyncIterator[Running]:
    async with sidecar(settings_for(localpayment.url)) as running:
        yield running


async def test_a_call_without_credentials_is_answered_by_localpayment(relay: Running) -> None:
    status, body = await relay.get(BALANCE)
    assert status == 200
    assert "balance" in json.loads(body) or json.loads(body)
    assert relay.value("requests_total", operation="get_balance", method="GET", status="200", outcome="answered") == 1


async def test_a_call_to_a_plain_origin_stays_on_this_machine_whatever_egress_proxy_is_set(
    localpayment: Simulator,
) -> None:
    async with origin(Wire.until_end) as proxy:
        by_way_of = EgressProxy("127.0.0.1", proxy.at.port, None)
        async with sidecar(settings_for(localpayment.url, egress_proxy=by_way_of)) as relay:
            assert (await relay.get(BALANCE))[0] == 200
        assert proxy.wires == []


async def test_a_call_is_one_line_of_the_log(relay: Running) -> None:
    await relay.post("/api/payin", PAYIN, headers={"X-Request-Id": "caller-1"})
    (line,) = relay.calls
    assert line["event"] == "request.relayed"
    assert (line["request_id"], line["operation"], line["status"]) == ("caller-1", "create_payin", 201)
    assert (line["outcome"], line["attempts"], line["token_generation"]) == ("answered", 1, 1)
    assert line["request_bytes"] > 0
    assert line["response_bytes"] > 0
    assert line["total_ms"] >= line["upstream_ms"] > 0


async def test_every_token_dying_at_once_is_invisible_to_callers(relay: Running, localpayment: Simulator) -> None:
    localpayment.revoke()
    answers = await asyncio.gather(*(relay.get(BALANCE) for _ in range(50)))
    assert {status for status, _ in answers} == {200}
    assert localpayment.token_calls["password"] == 2
    assert localpayment.token_calls["refresh"] == 1


async def test_200_calls_at_a_cold_start_cost_one_login(localpayment: Simulator) -> None:
    localpayment.add_fault(Fault(Kind.LATENCY, "token", seconds=0.2))
    async with sidecar(settings_for(localpayment.url), ready=False) as relay:
        answers = await asyncio.gather(*(relay.get(BALANCE) for _ in range(200)))
    assert {status for status, _ in answers} == {200}
    assert dict(localpayment.token_calls) == {"password": 1}


async def test_a_repeated_external_id_is_localpayments_answer_and_not_ours(relay: Running) -> None:
    await relay.post("/api/payin", PAYIN)
    status, body = await relay.post("/api/payin", PAYIN)
    assert status == 400
    assert json.loads(body)["status"]["code"] == "500"
    assert relay.calls[-1]["outcome"] == "answered"
