"""Each fault of the simulated Localpayment, as a client sees it on the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest

from proxy.simulator.faults import Fault, Kind
from tests.support.simulated import AT_MOST, BALANCE, NAME, WORD, logged_in_client, one_account, pay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.simulator.server import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with one_account() as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with logged_in_client(simulator) as session:
        yield session


@pytest.fixture
async def control(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(simulator.control_url) as session:
        yield session


async def status_of(client: aiohttp.ClientSession) -> int:
    async with client.get(BALANCE) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("kind", "error", "executed"),
    [
        (Kind.DROP_BEFORE_READ, aiohttp.ClientOSError, 0),
        (Kind.DROP_AFTER_READ, aiohttp.ServerDisconnectedError, 1),
        (Kind.DROP_MID_ANSWER, aiohttp.ClientPayloadError, 1),
    ],
)
async def test_a_dropped_connection_says_nothing_of_whether_the_call_was_executed(
    simulator: Simulator,
    client: aiohttp.ClientSession,
    kind: Kind,
    error: type[aiohttp.ClientError],
    executed: int,
) -> None:
    simulator.add_fault(Fault(kind, "create_payin"))
    with pytest.raises((error, aiohttp.ServerDisconnectedError)):
        await pay(client)
    assert simulator.executions("create_payin", "order-1") == executed
    assert simulator.log[-1].fault == kind
    assert await pay(client, "order-2") == 201


@pytest.mark.parametrize("kind", [Kind.DROP_BEFORE_READ, Kind.DROP_AFTER_READ])
async def test_a_drop_sends_not_one_byte_and_ends_the_connection(simulator: Simulator, kind: Kind) -> None:
    simulator.add_fault(Fault(kind, "token"))
    _, _, port = simulator.url.rpartition(":")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"POST /api/token/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    try:
        assert await asyncio.wait_for(reader.read(), AT_MOST) == b""
    except ConnectionResetError:
        pass
    finally:
        writer.close()


async def test_a_cut_answer_is_half_of_what_its_head_promised(simulator: Simulator) -> None:
    simulator.add_fault(Fault(Kind.DROP_MID_ANSWER, "token"))
    _, _, port = simulator.url.rpartition(":")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"POST /api/token/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    head, _, body = (await asyncio.wait_for(reader.read(), AT_MOST)).partition(b"\r\n\r\n")
    writer.close()
    promised = next(int(line.split()[1]) for line in head.splitlines() if line.startswith(b"Content-Length"))
    assert promised // 2 == len(body) > 0


async def test_a_hanging_call_is_never_answered_and_ends_when_faults_are_cleared(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    simulator.add_fault(Fault(Kind.HANG, "create_payin"))
    hanging = asyncio.create_task(pay(client))
    await asyncio.wait_for(simulator.faults.used_up.wait(), AT_MOST)
    assert await status_of(client) == 200
    assert not hanging.done()
    simulator.clear_faults()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await hanging
    assert simulator.attempts("create_payin") == 0


async def test_stopping_does_not_wait_for_calls_that_hang(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    simulator.add_fault(Fault(Kind.HANG, "create_payin"))
    hanging = asyncio.create_task(pay(client))
    await asyncio.wait_for(simulator.faults.used_up.wait(), AT_MOST)
    await asyncio.wait_for(simulator.stop(), AT_MOST)
    with pytest.raises(aiohttp.ClientError):
        await hanging


async def test_a_late_call_is_executed_even_when_its_caller_has_gone(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    simulator.add_fault(Fault(Kind.LATENCY, "create_payin", seconds=60))
    impatient = asyncio.create_task(pay(client))
    await asyncio.wait_for(simulator.faults.used_up.wait(), AT_MOST)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert simulator.executions("create_payin") == 0
    simulator.clear_faults()
    assert await status_of(client) == 200
    assert simulator.executions("create_payin", "order-1") == 1


async def test_a_little_latency_passes_by_itself(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    simulator.add_fault(Fault(Kind.LATENCY, seconds=0.01))
    assert await pay(client) == 201
    assert simulator.log[-1].as_json() == {
        "method": "POST",
        "operation": "create_payin",
        "status": 201,
        "fault": "latency",
    }


async def test_an_ordered_status_comes_with_retry_after_and_instead_of_the_call(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    simulator.add_fault(Fault(Kind.STATUS, "get_balance", status=429, retry_after=7, body="slow down"))
    async with client.get(BALANCE) as answer:
        assert (answer.status, answer.headers["Retry-After"], await answer.text()) == (429, "7", "slow down")
    assert simulator.attempts("get_balance") == 0


async def test_an_ordered_401_carries_the_challenge_and_is_counted(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    simulator.add_fault(Fault(Kind.STATUS, status=401))
    async with client.get(BALANCE) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    assert simulator.unauthorized == 1


async def test_the_token_endpoints_fail_apart_from_each_other(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    simulator.add_fault(Fault(Kind.STATUS, "token_refresh", times=None))
    async with client.post("/api/token/refresh/", json={"refresh": "x"}) as answer:
        assert answer.status == 503
    async with client.post("/api/token/", json={"username": NAME, "password": WORD}) as answer:
        assert answer.status == 200
    assert simulator.token_calls == {"password": 2, "refresh": 1}


@pytest.mark.parametrize("kind", [Kind.GARBAGE, Kind.ANOTHER_PAYMENT])
async def test_a_misleading_answer_comes_instead_of_the_true_one_once_the_call_was_executed(
    simulator: Simulator, client: aiohttp.ClientSession, kind: Kind
) -> None:
    simulator.add_fault(Fault(kind, "create_payin"))
    assert await pay(client) == 200
    assert simulator.executions("create_payin", "order-1") == 1
    assert simulator.log[-1].fault == kind


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(Kind.GARBAGE, "get_transaction_status"), (200, None)),
        (Fault(Kind.ANOTHER_PAYMENT, "get_transaction_status"), (200, "another-payment")),
        (Fault(Kind.STATUS, "get_transaction_status", status=404), (404, None)),
        (Fault(Kind.STATUS, "get_transaction_status", status=500, body="<h1>Server Error</h1>"), (500, None)),
        (Fault(Kind.LATENCY, "get_transaction_status", seconds=0.01), (200, "order-1")),
    ],
    ids=lambda value: str(value.kind) if isinstance(value, Fault) else "",
)
async def test_a_status_read_is_answered_wrongly_or_late_and_then_truly(
    simulator: Simulator, client: aiohttp.ClientSession, fault: Fault, told: tuple[int, str | None]
) -> None:
    await pay(client)
    simulator.add_fault(fault)
    assert await _status_read(client) == told
    assert await _status_read(client) == (200, "order-1")


async def _status_read(client: aiohttp.ClientSession) -> tuple[int, str | None]:
    """Return the HTTP status, and the external id that the answer speaks of."""
    async with client.get("/api/transactions/order-1/status") as answer:
        try:
            return answer.status, (await answer.json(content_type=None)).get("externalId")
        except ValueError:
            return answer.status, None
