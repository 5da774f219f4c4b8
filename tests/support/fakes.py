"""Fakes for the tests of the token control plane: a clock that the test moves, and endpoints that do as told.

No time passes here by itself: a wait ends when its event is set, or when the test advances the clock past it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.credentials.model import Credentials
from proxy.secret import Secret
from proxy.tokens.events import TokenDisputed, TokenFetched
from proxy.tokens.issuer import FetchFailedError, FetchResult
from proxy.tokens.model import DATE_UNCERTAINTY, Grant, Issued

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 25  # of the event loop; no chain of wake-ups under test is as long
BOUND = 60.0  # real seconds that nothing here may take; only a defect reaches it
CREDENTIALS = Credentials(Secret("user"), Secret("right"))
OTHERS = Credentials(Secret("user"), Secret("newer"))
WRONG = Credentials(Secret("user"), Secret("wrong"))

REFUSED = FetchFailedError(FetchResult.REFUSED, "refused", 401)
BROKEN = FetchFailedError(FetchResult.SERVER_ERROR, "broken", 500)
LOST = FetchFailedError(FetchResult.UNREACHABLE, "lost")


def again(error: FetchFailedError) -> FetchFailedError:
    """The same error without the traceback of its last time."""
    return FetchFailedError(error.result, error.reason, error.status, error.retry_after)


async def settle() -> None:
    """Let all that can go on without time passing go on."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class FakeClock:
    """A proxy.clock.Clock that stands still.

    Attributes:
        wall_offset: seconds that the wall clock is ahead of this one; a test may jump it.
    """

    def __init__(self, now: float = 10_000.0, wall: float = 1_800_000_000.0) -> None:
        self._now = now
        self.wall_offset = wall - now
        self._waiters: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now + self.wall_offset

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiters)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if event.is_set() or seconds <= 0:
            return event.is_set()
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._now + seconds, over))
        happened = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((over, happened), return_when=asyncio.FIRST_COMPLETED)
        finally:
            happened.cancel()
            self._waiters = [waiter for waiter in self._waiters if waiter[1] is not over]
        return event.is_set()

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass: every wait ends at its time, and what follows from it is done before the next."""
        await settle()
        end = self._now + seconds
        while (next_at := min((at for at, _ in self._waiters), default=end)) < end:
            await self._reach(next_at)
        await self._reach(end)

    def sleep_through(self, seconds: float) -> None:
        """Let the machine be suspended for so long: clocks go on, timers stand still."""
        self._now += seconds
        self._waiters = [(at + seconds, over) for at, over in self._waiters]

    async def _reach(self, now: float) -> None:
        self._now = max(self._now, now)
        for at, over in self._waiters:
            if at <= self._now and not over.done():
                over.set_result(None)
        await settle()


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of a token endpoint; `secret` is the password or the refresh token."""

    grant: Grant
    at: float
    secret: str


@dataclass
class ScriptedEndpoints:
    """A proxy.tokens.renewal.TokenEndpoints that grants tokens unless told otherwise; lifetimes in seconds.

    Attributes:
        script: what the next calls meet, oldest first: an error is raised, an event is waited for before granting,
            None hangs until the timeout, an answer is returned.
        failing: what every call of a grant meets after the script.
        accepted: the passwords that log in.
        alive: the refresh tokens that are accepted.
        asked: the calls so far.
        most_in_flight: how many calls there were at once.
    """

    clock: FakeClock
    lifetime: float = 300.0
    refresh_lifetime: float = 86400.0
    rotate: bool = False
    script: deque[FetchFailedError | asyncio.Event | Issued | None] = field(default_factory=deque)
    failing: dict[Grant, FetchFailedError] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=lambda: {"right"})
    alive: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    most_in_flight: int = 0
    _in_flight: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def log_in(self, credentials: Credentials, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the protocol
        password = credentials.password.reveal()

        def granted() -> Issued:
            if password not in self.accepted:
                raise again(REFUSED)
            return self.issued(with_refresh=True)

        return await self._answer(Asked(Grant.PASSWORD, self.clock.now(), password), timeout, granted)

    async def refresh(self, token: Secret, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the protocol
        text = token.reveal()

        def granted() -> Issued:
            if text not in self.alive:
                raise again(REFUSED)
            if self.rotate:
                self.alive.remove(text)
            return self.issued(with_refresh=self.rotate)

        return await self._answer(Asked(Grant.REFRESH, self.clock.now(), text), timeout, granted)

    def issued(self, *, with_refresh: bool, sent_at: float | None = None) -> Issued:
        """A new token, or pair, as read from an answer that came at once."""
        number = next(self._numbers)
        if with_refresh:
            self.alive.add(f"refresh-{number}")
        return Issued(
            access=Secret(f"access-{number}"),
            access_lifetime=self.lifetime,
            refresh=Secret(f"refresh-{number}") if with_refresh else None,
            refresh_lifetime=self.refresh_lifetime if with_refresh else 0.0,
            sent_at=self.clock.now() if sent_at is None else sent_at,
            uncertainty=DATE_UNCERTAINTY,
            skew=0.0,
        )

    def grants(self) -> list[Grant]:
        return [asked.grant for asked in self.asked]

    def logins(self) -> int:
        return self.grants().count(Grant.PASSWORD)

    async def _answer(self, asked: Asked, timeout: float, granted: Callable[[], Issued]) -> Issued:  # noqa: ASYNC109 - as above
        self.asked.append(asked)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            met = self.script.popleft() if self.script else self.failing.get(asked.grant, asked)
            match met:
                case FetchFailedError():
                    raise again(met)
                case Issued():
                    return met
                case asyncio.Event():
                    if not await self.clock.wait(met, timeout):
                        raise FetchFailedError(FetchResult.TIMEOUT, "hung")
                case None:
                    await self.clock.wait(asyncio.Event(), timeout)
                    raise FetchFailedError(FetchResult.TIMEOUT, "hung")
                case Asked():
                    pass
            return granted()
        finally:
            self._in_flight -= 1


class Reports:
    """What a keeper reported."""

    def __init__(self) -> None:
        self.fetched: list[TokenFetched] = []
        self.disputed: list[TokenDisputed] = []
        self._came = asyncio.Event()

    def __call__(self, report: TokenFetched | TokenDisputed) -> None:
        if isinstance(report, TokenFetched):
            self.fetched.append(report)
        else:
            self.disputed.append(report)
        self._came.set()

    def results(self) -> list[tuple[Grant, FetchResult]]:
        return [(report.grant, report.result) for report in self.fetched]

    async def until(self, fetches: int) -> TokenFetched:
        """Wait in real time, as real sockets need, for that many fetches; return the last of them."""
        async with asyncio.timeout(BOUND):
            while len(self.fetched) < fetches:
                self._came.clear()
                await self._came.wait()
        return self.fetched[fetches - 1]
