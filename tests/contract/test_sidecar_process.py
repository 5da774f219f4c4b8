"""The whole product as it is run: `serve` as a process in front of a real Simple JWT server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.support.processes import Running, running
from tests.support.simplejwt.peer import Peer, PeerOptions, StartPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SHORT = PeerOptions(access_lifetime=6.0)
CLIENTS = 8
SLOW_CALLS = 20
BOUND = 30.0  # seconds that no single wait here may take; only a defect reaches it


class Served:
    """A running `serve`, its two addresses, and a client."""

    def __init__(self, process: Running, started: dict[str, str], session: aiohttp.ClientSession) -> None:
        self.process = process
        self.url, self.admin_url = started["data"], started["admin"]
        self.session = session

    async def call(self, method: str, path: str, content: object = None) -> int:
        async with self.session.request(method, self.url + path, json=content) as answer:
            await answer.read()
            return answer.status

    async def until_unready(self) -> None:
        async with asyncio.timeout(BOUND):
            while await self.admin("/readyz") != 503:  # noqa: ASYNC110 - another process has no event to wait for
                await asyncio.sleep(0.01)

    async def admin(self, path: str) -> int:
        async with self.session.get(self.admin_url + path) as answer:
            return answer.status


@contextlib.asynccontextmanager
async def serving(peer: Peer, **changes: str) -> AsyncIterator[Served]:
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": peer.url,
        "LOCALPAYMENT_USERNAME": peer.username.reveal(),
        "LOCALPAYMENT_PASSWORD": peer.password.reveal(),
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        **changes,
    }
    async with running("serve", settings=settings) as process, aiohttp.ClientSession() as session:
        started = json.loads(await process.says('"sidecar.started"'))
        yield Served(process, started, session)


async def mixed_load(served: Served, client: int, until: float) -> list[int]:
    """Call, one call after another, what a merchant's services call; return every status."""
    statuses = []
    number = 0
    while time.monotonic() < until:
        number += 1
        external_id = f"order-{client}-{number}"
        statuses += [
            await served.call("GET", "/api/accounts/032.840.00000001/balance"),
            await served.call("POST", "/api/payin", {"externalId": external_id, "amount": 10}),
            await served.call("GET", f"/api/transactions/{external_id}/status"),
            await served.call("PUT", f"/api/virtual-account/{external_id}/activation/enable/"),
        ]
        await asyncio.sleep(0.01)
    return statuses


@pytest.mark.slow
async def test_a_minute_of_mixed_load_with_6_second_tokens_shows_callers_no_error(simplejwt: StartPeer) -> None:
    peer = await simplejwt(SHORT)
    async with serving(peer) as served:
        until = time.monotonic() + 60
        answers = await asyncio.gather(*(mixed_load(served, client, until) for client in range(CLIENTS)))
    counts = await peer.counts()
    statuses = [status for of_one in answers for status in of_one]
    assert len(statuses) > 1000
    assert set(statuses) == {200, 201}
    assert counts.unauthorized == 0
    assert counts.logins == 1
    assert counts.refreshes >= 60 / 6
    assert set(counts.executions.values()) == {2}, "a payin and an activation each ran once for every id"


async def test_sigterm_during_20_slow_calls_loses_none(simplejwt: StartPeer) -> None:
    peer = await simplejwt(SHORT)
    async with serving(peer) as served:
        slow = [
            asyncio.create_task(served.call("POST", f"/api/slow?seconds=20&externalId=slow-{number}"))
            for number in range(SLOW_CALLS)
        ]
        await peer.wait_for_held_calls(SLOW_CALLS)
        stopping = asyncio.create_task(served.process.stopped())
        await served.until_unready()
        await peer.release()
        statuses = await asyncio.wait_for(asyncio.gather(*slow), BOUND)
        finished = await stopping
    assert statuses == [200] * SLOW_CALLS
    assert finished.code == 0
    executions = (await peer.counts()).executions
    assert executions == {f"slow-{number}": 1 for number in range(SLOW_CALLS)}


async def test_a_wrong_password_is_an_answer_and_not_a_crash(simplejwt: StartPeer) -> None:
    peer = await simplejwt()
    async with serving(peer, LOCALPAYMENT_PASSWORD=peer.username.reveal()) as served:
        await served.process.says('"refused"')
        assert await served.admin("/livez") == 200
        assert await served.admin("/readyz") == 503
        async with served.session.get(served.url + "/api/accounts/1/balance") as answer:
            problem = await answer.json(content_type="application/problem+json")
        assert answer.status == 503
        assert (problem["code"], problem["outcome"]) == ("credentials_rejected", "not_sent")
        finished = await served.process.stopped()
    counts = await peer.counts()
    assert finished.code == 0
    assert counts.logins == 0
    assert 1 <= counts.logins_refused <= 2
    assert counts.calls_begun == 0
