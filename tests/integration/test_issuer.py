"""The token endpoints over real sockets: what goes out, and what every fault of an answer is read as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from proxy.clock import SystemClock
from proxy.config import Origin
from proxy.secret import Secret
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator, SimulatorOptions
from proxy.tokens.issuer import FetchFailedError, FetchResult, Issuer
from tests.support.fakes import BOUND, CREDENTIALS, WRONG, FakeClock
from tests.support.scripted_origin import Wire, origin
from tests.support.token_server import PAIR, answer, asking, met, signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SHORT = 0.1  # real seconds; a hang must end


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    options = SimulatorOptions(username=CREDENTIALS.username, password=CREDENTIALS.password)
    async with Simulator(options) as running:
        yield running


@pytest.fixture
def issuer(simulator: Simulator) -> Issuer:
    port = int(simulator.url.rpartition(":")[2])
    return Issuer(Origin("127.0.0.1", port, tls=False), SystemClock(), None, None)


async def test_a_login_and_a_refresh_bring_tokens_with_their_lives(issuer: Issuer, simulator: Simulator) -> None:
    first = await issuer.log_in(CREDENTIALS, BOUND)
    assert first.refresh is not None
    assert 298 <= first.access_lifetime <= 301
    assert 86398 <= first.refresh_lifetime <= 86401
    second = await issuer.refresh(first.refresh, BOUND)
    assert second.refresh is None
    assert second.access != first.access
    assert dict(simulator.token_calls) == {"password": 1, "refresh": 1}


async def test_a_rotating_refresh_brings_the_next_refresh_token(issuer: Issuer, simulator: Simulator) -> None:
    simulator.change_settings(rotate=True)
    first = await issuer.log_in(CREDENTIALS, BOUND)
    assert first.refresh is not None
    second = await issuer.refresh(first.refresh, BOUND)
    assert second.refresh not in {None, first.refresh}
    with pytest.raises(FetchFailedError) as caught:
        await issuer.refresh(first.refresh, BOUND)
    assert (caught.value.result, caught.value.status) == (FetchResult.REFUSED, 401)


async def test_the_servers_clock_counts_and_not_ours(issuer: Issuer, simulator: Simulator) -> None:
    for offset in (-600.0, 600.0):
        simulator.set_clock(offset)
        issued = await issuer.log_in(CREDENTIALS, BOUND)
        assert 298 <= issued.access_lifetime <= 301
        assert issued.skew == pytest.approx(offset, abs=2)


async def test_a_wrong_password_is_refused(issuer: Issuer) -> None:
    with pytest.raises(FetchFailedError) as caught:
        await issuer.log_in(WRONG, BOUND)
    assert (caught.value.result, caught.value.status, caught.value.retry_after) == (FetchResult.REFUSED, 401, 0.0)


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (Kind.DROP_BEFORE_READ, FetchResult.UNREACHABLE),
        (Kind.DROP_AFTER_READ, FetchResult.UNREACHABLE),
        (Kind.DROP_MID_ANSWER, FetchResult.MALFORMED),
    ],
)
async def test_a_connection_that_is_cut_is_a_fault_and_is_not_repeated(
    issuer: Issuer, simulator: Simulator, kind: Kind, result: FetchResult
) -> None:
    simulator.add_fault(Fault(kind, "token"))
    with pytest.raises(FetchFailedError) as caught:
        await issuer.log_in(CREDENTIALS, BOUND)
    assert caught.value.result is result
    assert dict(simulator.token_calls) == {"password": 1}
    await issuer.log_in(CREDENTIALS, BOUND)


@pytest.mark.parametrize("kind", [Kind.HANG, Kind.LATENCY])
async def test_an_endpoint_that_hangs_is_given_up_in_time(issuer: Issuer, simulator: Simulator, kind: Kind) -> None:
    simulator.add_fault(Fault(kind, "token", seconds=60.0))
    with pytest.raises(FetchFailedError) as caught:
        await issuer.log_in(CREDENTIALS, SHORT)
    assert (caught.value.result, caught.value.status) == (FetchResult.TIMEOUT, None)
    simulator.clear_faults()


async def test_a_call_carries_what_the_endpoints_need_and_nothing_else() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(answer("200 OK", PAIR, "Set-Cookie: session=1"))

    async with origin(script) as served:
        issuer = asking(served)
        await issuer.log_in(CREDENTIALS, BOUND)
        await issuer.refresh(Secret("r"), BOUND)
    first, second = (request.decode().partition("\r\n\r\n") for request in served.requests)
    lines = first[0].split("\r\n")
    assert lines[0] == "POST /api/token/ HTTP/1.1"
    assert {line.partition(":")[0].lower() for line in lines[1:]} == {
        "host", "accept", "accept-encoding", "user-agent", "content-length", "content-type",
    }  # fmt: skip
    assert {"Accept: application/json", "Accept-Encoding: identity", "Content-Type: application/json"} <= set(lines)
    assert json.loads(first[2]) == {"username": "user", "password": "right"}
    assert second[0].startswith("POST /api/token/refresh/ HTTP/1.1\r\n")
    assert json.loads(second[2]) == {"refresh": "r"}
    assert "cookie" not in second[0].lower()
    assert len(served.wires) == 2, "each call has a connection of its own"


async def test_proxies_named_by_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await met(answer("200 OK", PAIR))).access_lifetime == 300.0


async def test_lifetimes_are_anchored_before_the_request_was_sent() -> None:
    clock = FakeClock(now=500.0)

    async def script(wire: Wire) -> None:
        await wire.request()
        clock.sleep_through(40)
        await wire.send(answer("200 OK", PAIR))

    async with origin(script) as served:
        issued = await asking(served, clock).log_in(CREDENTIALS, BOUND)
    assert (issued.sent_at, issued.access_lifetime) == (500.0, 300.0)


async def test_without_a_date_our_own_wall_clock_counts() -> None:
    ours = FakeClock().wall()
    issued = await met(answer("200 OK", {"access": signed(exp=ours + 120)}, date=None))
    assert (issued.access_lifetime, issued.skew) == (120.0, None)
