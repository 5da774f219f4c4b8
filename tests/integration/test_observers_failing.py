"""Whatever fails of what looks on: calls, tokens and the places of calls in flight go on as if it had not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from proxy.ops.admin.history import History
from proxy.ops.logs.events import Events
from proxy.ops.metrics.metrics import Metrics
from proxy.simulator.server import Simulator
from tests.support.origins import calling
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CANARY = "canary-of-an-observer-77"
CALLS = 6
OBSERVERS = {"metrics": Metrics, "log": Events, "history": History}


def fails(*_: object) -> None:
    raise ValueError(CANARY)


@pytest.fixture
async def localpayment() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


async def relayed(relay: Running) -> None:
    for number in range(CALLS):
        status, _ = await relay.post("/api/payout", {"externalId": f"order-{number}", "amount": 1})
        assert status < 500
        assert (await relay.get("/api/resources/payment-methods?country=ARG"))[0] == 200


@pytest.mark.parametrize("observer", OBSERVERS)
async def test_an_observer_that_fails_at_each_call_costs_none_and_frees_each_place_once(
    localpayment: Simulator, monkeypatch: pytest.MonkeyPatch, observer: str
) -> None:
    monkeypatch.setattr(OBSERVERS[observer], "observe", fails)
    async with sidecar(settings_for(localpayment.url)) as relay:
        await relayed(relay)
        assert relay.sidecar.concurrency.in_flight == 0
        assert relay.sidecar.concurrency.empty.is_set()
        assert relay.value("observer_failures_total", observer=observer) == 2 * CALLS
        told = relay.lines("observer.failed")
        assert [line["failures"] for line in told] == [1, 2, 4, 8]
        assert {(line["observer"], line["exception"]) for line in told} == {(observer, "ValueError")}
        assert CANARY not in relay.text_of_log


@pytest.mark.parametrize("observer", OBSERVERS)
async def test_an_observer_that_fails_at_each_fetch_costs_no_token(
    localpayment: Simulator, monkeypatch: pytest.MonkeyPatch, observer: str
) -> None:
    monkeypatch.setattr(OBSERVERS[observer], "fetched", fails)
    async with sidecar(settings_for(localpayment.url)) as relay:
        assert relay.sidecar.keeper.ready
        assert relay.value("observer_failures_total", observer=observer) == 1
        assert CANARY not in relay.text_of_log


async def test_even_what_no_observer_contains_frees_a_place_once(localpayment: Simulator) -> None:
    async with sidecar(settings_for(localpayment.url)) as relay:
        await relayed(relay)
        relay.sidecar.relay.parts.observe = fails  # in place of observers, which contain their own failures
        for _ in range(CALLS):
            await relay.get("/api/resources/payment-methods?country=ARG")
        assert relay.sidecar.concurrency.in_flight == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"nonsense\r\n\r\n", 400), (b"PRI * HTTP/2.0\r\n\r\n", 400), (b"GET / HT", 408)],
    ids=["unreadable", "another protocol", "too slow"],
)
async def test_what_cannot_be_read_is_refused_once_and_ended_even_so(
    localpayment: Simulator, sent: bytes, status: int
) -> None:
    async with sidecar(settings_for(localpayment.url, header_timeout=0.1)) as relay, calling(relay) as caller:
        relay.sidecar.relay.parts.observe = relay.sidecar.relay.parts.wrong_protocol = fails
        await caller.send(sent)
        refused = await caller.rest()
        assert refused.problem["status"] == status
        assert refused.raw.count(b"Proxy-Status: ") == 1
        assert len(relay.lines("request.failed")) == 1
        assert CANARY not in relay.text_of_log


async def test_a_line_that_cannot_be_made_is_told_by_type(localpayment: Simulator) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    async with sidecar(settings_for(localpayment.url)) as relay:
        relay.sidecar.logger.info("test.said", fact=Unprintable())
        (line,) = relay.lines("log.line_failed")
        assert line["exception"] == "RuntimeError"
        assert CANARY not in json.dumps(line)
