"""Runs a keeper in front of the real Simple JWT server, on one clock for both, which the test moves.

The server's clock is set as far ahead as the keeper's has moved, so that a day takes no time and tokens do expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proxy.config import Origin
from proxy.credentials.model import Credentials
from proxy.secret import Secret
from proxy.tokens.issuer import Issuer
from proxy.tokens.keeper import Keeper
from tests.support.fakes import BOUND, FakeClock, Reports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.tokens.issuer import FetchResult
    from proxy.tokens.model import AccessToken, Grant
    from tests.support.simplejwt.peer import Peer
    from tests.support.simplejwt.wire import Answer

STEP = 30.0  # seconds; a fetch that is due is done before the clock moves on


@dataclass
class Pair:
    """A keeper and the server that it logs in to; `ahead` is the server's clock minus the true one at the start."""

    keeper: Keeper
    peer: Peer
    clock: FakeClock
    reports: Reports
    ahead: float
    began: float

    async def pass_time(self, seconds: float) -> None:
        """Let time pass on both sides, in steps; every fetch that becomes due meets the server at its time."""
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 0:
            step = min(left, STEP)
            await self.peer.put_clock(self.ahead + self.clock.now() + step - self.began)
            await self.clock.advance(step)
            await self.quiet()

    async def quiet(self) -> None:
        """Wait until the loop has nothing to do at this moment."""
        async with asyncio.timeout(BOUND):
            while self.keeper._renewal.next_fetch(self.clock.now()) <= self.clock.now():  # noqa: ASYNC110, SLF001 - the server's time is real, and what is due is told to no one
                await asyncio.sleep(0.001)

    async def call(self, token: AccessToken | None) -> Answer:
        """Call the API with a token of the keeper's."""
        assert token is not None
        return await self.peer.wire.call(Secret(token.header.removeprefix(b"Bearer ").decode()))

    async def call_after_401s(self) -> tuple[int, int]:
        """Call as the relay does, once more after a 401; return the last status and how many calls it took."""
        token = self.keeper.current() or await self.keeper.obtain()
        answer = await self.call(token)
        if answer.status != 401:
            return answer.status, 1
        again = await self.keeper.replacement(token.generation, str(answer.code))
        return (answer.status, 1) if again is None else ((await self.call(again)).status, 2)

    def results(self) -> list[tuple[Grant, FetchResult]]:
        return self.reports.results()


def credentials(peer: Peer, password: Secret | None = None) -> Credentials:
    return Credentials(peer.username, password or peer.password)


@contextlib.asynccontextmanager
async def keeping(peer: Peer, *, ahead: float = 0.0, chance: float = 0.0, ready: bool = True) -> AsyncIterator[Pair]:
    """Run a keeper that has tried to log in once, in front of a server whose clock is ahead."""
    await peer.put_clock(ahead)
    clock, reports, where = FakeClock(wall=time.time()), Reports(), urlsplit(peer.url)
    assert where.hostname is not None
    assert where.port is not None
    issuer = Issuer(Origin(where.hostname, where.port, tls=False), clock, None, None)
    keeper = Keeper(
        issuer=issuer,
        credentials=credentials(peer),
        clock=clock,
        chance=lambda: chance,
        report=reports,
        token_wait=2.5,
        fetch_timeout=5.0,
    )
    loop = asyncio.create_task(keeper.run())
    try:
        await reports.until(1)
        assert keeper.ready is ready
        yield Pair(keeper, peer, clock, reports, ahead, clock.now())
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
