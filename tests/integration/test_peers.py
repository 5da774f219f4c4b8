"""Defects seen in peers, where no other test of ours would meet them; docs/explanation/peers.md names all."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
from typing import TYPE_CHECKING

import pytest

from proxy.background import BackgroundTaskDiedError
from proxy.simulator.server import Simulator
from proxy.tokens.issuer import FetchFailedError, FetchResult
from proxy.tokens.lifecycle_steps import State
from tests.support.fakes import FakeClock, ScriptedEndpoints, again, settle
from tests.support.origins import HELLO, Answered, Localpayment, calling, greeting, localpayment, request, said
from tests.support.processes import running
from tests.support.running_keeper import started
from tests.support.sidecars import BOUND, Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.scripted_origin import Wire

PAYOUT = b'{"externalId": "order-1", "amount": 25}'
MALFORMED = FetchFailedError(FetchResult.MALFORMED, "the answer is not JSON", 200)


@pytest.fixture
async def origin() -> AsyncIterator[Localpayment]:
    async with localpayment(greeting) as there:
        yield there


@pytest.fixture
async def relay(origin: Localpayment) -> AsyncIterator[Running]:
    async with sidecar(settings_for(origin.url)) as there:
        yield there


async def test_a_payout_that_a_mesh_sent_again_is_told_and_counted(relay: Running, origin: Localpayment) -> None:
    payout = request("POST", "/api/payout", "x-envoy-attempt-count: 2", "X-Request-Id: again", body=PAYOUT)
    assert (await said(relay, payout)).status == 200
    (line,) = relay.lines("request.repeated_by_mesh")
    assert (line["operation"], line["mesh_attempt"], line["request_id"]) == ("create_payout", 2, "again")
    assert relay.value("mesh_repeats_total", operation="create_payout") == 1
    assert origin.calls.count(b"POST /api/payout ") == 1


@pytest.mark.parametrize("attempt", ["1", "none", ""])
async def test_a_first_attempt_is_no_repeat(relay: Running, attempt: str) -> None:
    await said(relay, request("POST", "/api/payout", f"x-envoy-attempt-count: {attempt}", body=PAYOUT))
    assert relay.lines("request.repeated_by_mesh") == []


async def test_one_malformed_answer_of_the_token_endpoint_ends_no_refreshing() -> None:
    endpoints = ScriptedEndpoints(FakeClock())
    async with started(endpoints) as stand:
        endpoints.script.append(again(MALFORMED))
        await stand.clock.advance(600)
        assert stand.keeper.state is State.VALID
        assert stand.keeper.current() is not None
        assert [result for _, result in stand.reports.results()].count(FetchResult.MALFORMED) == 1


async def test_a_keeper_that_dies_ends_the_sidecar(relay: Running) -> None:
    run = asyncio.create_task(relay.sidecar.run())
    (renewal,) = (task for task in asyncio.all_tasks() if task.get_name() == "token renewal")
    renewal.cancel()
    async with asyncio.timeout(BOUND):
        with pytest.raises(BackgroundTaskDiedError, match="token renewal"):
            await run


async def test_a_gzip_body_crosses_as_it_is_in_both_directions() -> None:
    packed = gzip.compress(PAYOUT, mtime=0)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(answer)

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay:
        got = await said(relay, request("POST", "/api/billing", "Content-Encoding: gzip", body=packed))
    assert (got.body, got.headers["content-encoding"]) == (packed, "gzip")
    assert there.calls.endswith(b"\r\n\r\n" + packed)
    assert b"Content-Encoding: gzip\r\n" in there.calls


@pytest.mark.parametrize(
    "target",
    [
        "/api/payin/",
        "/api/transactions/list/filter?until=2040&since=2020&size=10&page=1&empty=&page=2",
        "/api/transactions/a%2Fb%2bc%3D/status?q=%7e~",
        "/api/accounts/032.840.00000001/balance?",
    ],
)
async def test_a_target_crosses_byte_for_byte(relay: Running, origin: Localpayment, target: str) -> None:
    method = "POST" if target == "/api/payin/" else "GET"
    await said(relay, request(method, target))
    assert origin.calls.startswith(f"{method} {target} HTTP/1.1\r\n".encode())


async def test_exactly_one_authorization_goes_out_whatever_the_caller_sends(
    relay: Running, origin: Localpayment
) -> None:
    fields = ("Authorization: Bearer of-the-caller", "authorization: Basic YTpi", "Connection: Authorization, close")
    await said(relay, request("GET", "/api/resources/banks", *fields))
    assert origin.calls.lower().count(b"\nauthorization:") == 1
    assert b"of-the-caller" not in origin.calls


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_put_and_delete_are_not_sent_again_when_a_kept_connection_dies(method: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO)
        await wire.request()  # and then the end, without an answer

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(b"GET /api/resources/banks HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await caller.one()).status == 200
        await caller.send(request(method, "/api/virtual-account/va-1"))
        answered: Answered = await caller.rest()
    assert (answered.status, answered.problem["outcome"]) == (502, "unknown")
    assert there.calls.count(f"{method} /api/virtual-account/va-1".encode()) == 1
    assert len(there.wires) == 1, "the call rode the kept connection"


async def test_probes_that_succeed_are_silent() -> None:
    async with Simulator() as there, sidecar(settings_for(there.url, log_level="info")) as relay:
        for path in ("/livez", "/readyz", "/startupz", "/metrics"):
            assert (await relay.admin(path))[0] == 200
        assert relay.lines("admin.answered") == []


async def test_on_sigterm_readiness_goes_first_and_calls_are_still_taken() -> None:
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_USERNAME": "anything",
        "LOCALPAYMENT_PASSWORD": "anything",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        "PROXY_DRAIN_DELAY": "1m",
    }
    async with Simulator() as there, running("serve", settings={**settings, "LOCALPAYMENT_BASE_URL": there.url}) as one:
        begun = json.loads(await one.says("sidecar.started"))
        await one.says("token.refreshed")
        one.send(signal.SIGTERM)
        await one.says("drain.started")
        assert await _status(begun["admin"], "/readyz") == b"503"
        assert await _status(begun["admin"], "/livez") == b"200"
        assert await _status(begun["data"], "/api/resources/banks?country=ARG") == b"200"
        assert (await one.stopped()).code == 1, "a second signal ends it at once"


async def _status(url: str, path: str) -> bytes:
    """The status of a GET, as it stands in the first line."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(BOUND):
        line = await reader.readline()
    writer.close()
    return line.split(b" ")[1]


async def test_waiters_of_a_dead_keeper_are_not_left_hanging(relay: Running) -> None:
    (renewal,) = (task for task in asyncio.all_tasks() if task.get_name() == "token renewal")
    renewal.cancel()
    await settle()
    assert (await relay.get("/api/resources/banks"))[0] == 200, "what is held is used up"
