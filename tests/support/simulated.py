"""Speaks to the simulator as one invented account, over a real socket, on a clock that the test owns."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import aiohttp

from proxy.secret import Secret
from proxy.simulator.server import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

NAME, WORD, SECOND_WORD = "someone", "something", "something-else"
BALANCE = "/api/accounts/032.840.00000001/balance"
CHALLENGE = 'Bearer realm="api"'
# A bound for what happens at once; nothing waits for it to pass.
AT_MOST = 10


class OwnedClock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def one_account(clock: Callable[[], float] = time.time) -> AsyncIterator[Simulator]:
    """A simulator that only this account logs in to."""
    async with Simulator(SimulatorOptions(username=Secret(NAME), password=Secret(WORD), clock=clock)) as running:
        yield running


@contextlib.asynccontextmanager
async def logged_in_client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose every call carries an access token."""
    async with aiohttp.ClientSession(simulator.url, timeout=aiohttp.ClientTimeout(AT_MOST)) as session:
        async with session.post("/api/token/", json={"username": NAME, "password": WORD}) as answer:
            session.headers["Authorization"] = f"Bearer {(await answer.json())['access']}"
        yield session


async def post(client: aiohttp.ClientSession, target: str, body: Any) -> tuple[int, Any, str | None]:
    """Return status, content and challenge."""
    async with client.post(target, json=body) as answer:
        content = await answer.json() if answer.content_type == "application/json" else await answer.text()
        return answer.status, content, answer.headers.get("WWW-Authenticate")


async def logged_in(client: aiohttp.ClientSession) -> dict[str, str]:
    """Return the pair that a login gives."""
    status, content, _ = await post(client, "/api/token/", {"username": NAME, "password": WORD})
    assert status == 200
    return dict(content)


async def refreshed(client: aiohttp.ClientSession, token: str) -> tuple[int, Any, str | None]:
    """Return status, content and challenge of a refresh."""
    return await post(client, "/api/token/refresh/", {"refresh": token})


async def balance(client: aiohttp.ClientSession, authorization: str | None) -> tuple[int, Any, str | None]:
    """Return status, content and challenge of a call with this Authorization."""
    headers = {} if authorization is None else {"Authorization": authorization}
    async with client.get(BALANCE, headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers.get("WWW-Authenticate")


async def pay(client: aiohttp.ClientSession, external_id: str = "order-1") -> int:
    """Return the status of a payin."""
    body = {"externalId": external_id, "amount": 10, "currency": "USD"}
    async with client.post("/api/payin", json=body) as answer:
        await answer.read()
        return answer.status
