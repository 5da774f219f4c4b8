"""Starts 500 sidecars at once, and tells what a token endpoint sees: `python -m tests.benchmarks.login_storm`.

Real keepers on a clock that the simulation moves, in front of an endpoint that can do so much and no more. The seed is
fixed, so that the table is the same wherever it is made.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.secret import Secret
from proxy.tokens.issuer import FetchFailedError, FetchResult
from proxy.tokens.keeper import Keeper
from proxy.tokens.model import DATE_UNCERTAINTY, Grant, Issued
from tests.support.fakes import CREDENTIALS

if TYPE_CHECKING:
    from proxy.credentials.model import Credentials

SIDECARS: Final = 500
SEED: Final = 500
SECONDS: Final = 400.0  # past everybody's first refresh
LATENCY: Final = 0.1  # seconds that an answer takes when nothing is in its way
ACCESS, REFRESH = 300.0, 86400.0  # seconds; Localpayment's documented lifetimes
TURNS: Final = 6  # of the event loop; no chain of wake-ups here is as long
TOKEN_WAIT, TOKEN_TIMEOUT = 2.5, 5.0  # seconds; the defaults of PROXY_TOKEN_WAIT and PROXY_TOKEN_TIMEOUT

Decide = Callable[[float], "float | FetchFailedError"]


def healthy(at: float) -> float | FetchFailedError:
    """Answer everybody after LATENCY."""
    del at
    return LATENCY


def refused(at: float) -> float | FetchFailedError:
    """Answer everybody 401."""
    del at
    return FetchFailedError(FetchResult.REFUSED, "refused", 401)


def down_for(seconds: float, retry_after: float = 0.0) -> Callable[[], Decide]:
    """Answer 503 for a while, then everybody."""

    def decide(at: float) -> float | FetchFailedError:
        if at < seconds:
            return FetchFailedError(FetchResult.SERVER_ERROR, "down", 503, retry_after)
        return LATENCY

    return lambda: decide


def throttled_to(rate: int, retry_after: float = 0.0) -> Callable[[], Decide]:
    """Answer so many in each second, and the others 429."""

    def make() -> Decide:
        taken: Counter[int] = Counter()

        def decide(at: float) -> float | FetchFailedError:
            taken[int(at)] += 1
            if taken[int(at)] > rate:
                return FetchFailedError(FetchResult.THROTTLED, "throttled", 429, retry_after)
            return LATENCY

        return decide

    return make


def queueing_at(rate: int) -> Callable[[], Decide]:
    """Work through so many a second, one after the other, whether those who asked still wait or not."""

    def make() -> Decide:
        free_at = 0.0

        def decide(at: float) -> float | FetchFailedError:
            nonlocal free_at
            free_at = max(free_at, at) + 1 / rate
            return LATENCY + free_at - at

        return decide

    return make


class StormClock:
    """A proxy.clock.Clock for many; waits end by time alone, since nobody calls and so nothing wakes a loop."""

    def __init__(self) -> None:
        self._now = 0.0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if seconds > 0:
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (self._now + seconds, next(self._numbers), over))
            await over
        return event.is_set()

    async def advance_to(self, end: float) -> None:
        """Let time pass; what follows from each moment is done before the next."""
        while self._waiting and self._waiting[0][0] <= end:
            self._now, _, over = heapq.heappop(self._waiting)
            if not over.done():
                over.set_result(None)
            if not (self._waiting and self._waiting[0][0] == self._now):
                for _ in range(TURNS):
                    await asyncio.sleep(0)
        self._now = end


@dataclass
class Endpoint:
    """The token endpoints of one account, asked by everybody."""

    clock: StormClock
    decide: Decide
    asked: list[tuple[float, Grant]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def log_in(self, credentials: Credentials, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the protocol
        del credentials
        return await self._answer(Grant.PASSWORD, timeout)

    async def refresh(self, token: Secret, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the protocol
        del token
        return await self._answer(Grant.REFRESH, timeout)

    async def _answer(self, grant: Grant, timeout: float) -> Issued:  # noqa: ASYNC109 - as above
        sent_at = self.clock.now()
        self.asked.append((sent_at, grant))
        decided = self.decide(sent_at)
        seconds = LATENCY if isinstance(decided, FetchFailedError) else decided
        await self.clock.wait(asyncio.Event(), min(seconds, timeout))
        if isinstance(decided, FetchFailedError):
            raise decided
        if seconds > timeout:
            raise FetchFailedError(FetchResult.TIMEOUT, "too late")
        number = next(self._numbers)
        login = grant is Grant.PASSWORD
        return Issued(
            access=Secret(f"access-{number}"),
            access_lifetime=ACCESS,
            refresh=Secret(f"refresh-{number}") if login else None,
            refresh_lifetime=REFRESH if login else 0.0,
            sent_at=sent_at,
            uncertainty=DATE_UNCERTAINTY,
            skew=0.0,
        )


@dataclass(frozen=True, slots=True)
class Storm:
    """What was seen; times are seconds since all began.

    Attributes:
        asked: when each call of a token endpoint came, and which it was.
        ready_at: when each sidecar had its first token, in order.
    """

    asked: list[tuple[float, Grant]]
    ready_at: list[float]

    def peak(self, grant: Grant, *, after: float = 0.0) -> int:
        """The most calls in any whole second."""
        seconds = Counter(int(at) for at, asked in self.asked if asked is grant and at >= after)
        return max(seconds.values(), default=0)

    def ready(self, share: float) -> float:
        """When that share of all sidecars had a token, infinity for never."""
        number = int(share * SIDECARS) - 1
        return self.ready_at[number] if number < len(self.ready_at) else math.inf


@dataclass(frozen=True, slots=True)
class Scene:
    """What the endpoint does, and over how many seconds the sidecars start."""

    make: Callable[[], Decide]
    spread: float = 0.0


async def storm(scene: Scene) -> Storm:
    """Start all sidecars, and let SECONDS pass."""
    clock = StormClock()
    endpoint = Endpoint(clock, scene.make())
    ready_at: dict[int, float] = {}

    def keeper(number: int) -> Keeper:
        def report(_: object) -> None:
            if keepers[number].ready:
                ready_at.setdefault(number, clock.now())

        return Keeper(
            issuer=endpoint,
            credentials=CREDENTIALS,
            clock=clock,
            chance=random.Random(SEED + number).random,  # noqa: S311 - the same table each time
            report=report,
            token_wait=TOKEN_WAIT,
            fetch_timeout=TOKEN_TIMEOUT,
        )

    async def started(number: int) -> None:
        await clock.wait(asyncio.Event(), scene.spread * number / SIDECARS)
        await keepers[number].run()

    keepers = [keeper(number) for number in range(SIDECARS)]
    loops = [asyncio.create_task(started(number)) for number in range(SIDECARS)]
    await asyncio.sleep(0)
    await clock.advance_to(SECONDS)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    return Storm(endpoint.asked, sorted(ready_at.values()))


SCENES: Final = {
    "healthy": Scene(lambda: healthy),
    "healthy; they start over a minute": Scene(lambda: healthy, spread=60),
    "503 for the first minute": Scene(down_for(60)),
    "503 for the first minute, `Retry-After: 30`": Scene(down_for(60, retry_after=30)),
    "50 a second, the others 429": Scene(throttled_to(50)),
    "10 a second, the others 429": Scene(throttled_to(10)),
    "10 a second, the others 429, `Retry-After: 5`": Scene(throttled_to(10, retry_after=5)),
    "works through 50 a second, in the order of arrival": Scene(queueing_at(50)),
    "401: the password is wrong": Scene(lambda: refused),
}
HEAD: Final = (
    "| token endpoint | logins | most in a second | half ready, s | all ready, s | refreshes, most in a second |",
    "|---|---|---|---|---|---|",
)


def seen() -> dict[str, Storm]:
    """Run every scene."""
    return {name: asyncio.run(storm(scene)) for name, scene in SCENES.items()}


def table(storms: dict[str, Storm]) -> str:
    """Write the table of docs/scale.md."""
    return "\n".join([*HEAD, *(_row(name, one) for name, one in storms.items()), ""])


def _row(name: str, one: Storm) -> str:
    logins = sum(grant is Grant.PASSWORD for _, grant in one.asked)
    ready = " | ".join(_when(one.ready(share)) for share in (0.5, 1.0))
    return f"| {name} | {logins} | {one.peak(Grant.PASSWORD)} | {ready} | {one.peak(Grant.REFRESH)} |"


def _when(at: float) -> str:
    return "never" if math.isinf(at) else f"{at:.1f}"


if __name__ == "__main__":
    sys.stdout.write(table(seen()))
