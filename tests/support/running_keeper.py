"""Runs a keeper on the test's clock, with endpoints that do as told."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.tokens.keeper import Keeper
from tests.support.fakes import BOUND, CREDENTIALS, FakeClock, Reports, ScriptedEndpoints, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from proxy.credentials.model import Credentials
    from proxy.tokens.keeper import TokenEndpoints

TOKEN_WAIT = 2.5


@dataclass
class Stand:
    """A keeper that runs, and all that it stands on."""

    keeper: Keeper
    clock: FakeClock
    reports: Reports
    loop: asyncio.Task[None]


@contextlib.asynccontextmanager
async def running(
    endpoints: TokenEndpoints,
    clock: FakeClock,
    *,
    credentials: Credentials = CREDENTIALS,
    chance: Callable[[], float] = lambda: 0.0,
    fetch_timeout: float = 5.0,
) -> AsyncIterator[Stand]:
    """Run a keeper inside the block; what was started is ended, and nothing of it may be left."""
    reports = Reports()
    keeper = Keeper(
        issuer=endpoints,
        credentials=credentials,
        clock=clock,
        chance=chance,
        report=reports,
        token_wait=TOKEN_WAIT,
        fetch_timeout=fetch_timeout,
    )
    loop = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(BOUND):
            yield Stand(keeper, clock, reports, loop)
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


@contextlib.asynccontextmanager
async def started(endpoints: ScriptedEndpoints, *, chance: float = 0.0) -> AsyncIterator[Stand]:
    """Run a keeper that holds its first token."""
    async with running(endpoints, endpoints.clock, chance=lambda: chance) as stand:
        await settle()
        assert stand.keeper.ready
        yield stand
