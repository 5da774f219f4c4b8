"""Runs the renewal loop: fetches tokens as the lifecycle says, reports results and wakes the waiting callers.

It must never run two fetches at once, nor fetch on behalf of a caller: callers come and go, and are cancelled.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, Protocol, assert_never

from proxy.tokens.events import TokenFetched
from proxy.tokens.issuer import FetchFailedError, FetchResult, unforeseen
from proxy.tokens.lifecycle_steps import Fetch, LogIn, Refresh, Wait
from proxy.tokens.model import Grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.clock import Clock
    from proxy.credentials.model import Credentials
    from proxy.secret import Secret
    from proxy.tokens.lifecycle import Lifecycle
    from proxy.tokens.model import Issued

LONGEST_SLEEP: Final = 15.0  # seconds; the loop's timer stops in suspend, so it looks at the clock at least this often


class TokenEndpoints(Protocol):
    """What the keeper needs of an issuer; both raise FetchFailedError and nothing else."""

    async def log_in(self, credentials: Credentials, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the call
        """Exchange username and password for a pair."""
        ...

    async def refresh(self, token: Secret, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the call
        """Exchange a refresh token for an access token."""
        ...


class Renewal:
    """The loop, and what callers need to know of it.

    Attributes:
        lifecycle: what is held, and what is to be done next.
    """

    def __init__(
        self,
        issuer: TokenEndpoints,
        lifecycle: Lifecycle,
        clock: Clock,
        chance: Callable[[], float],
        report: Callable[[TokenFetched], None],
    ) -> None:
        self.lifecycle = lifecycle
        self._issuer = issuer
        self._clock = clock
        self._chance = chance
        self._report = report
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            self._wake.clear()
            now = self._clock.now()
            match self.lifecycle.next_step(now):
                case Wait(until):
                    await self._clock.wait(self._wake, min(until - now, LONGEST_SLEEP))
                case LogIn() | Refresh() as step:
                    await self._fetch(step)
                case never:
                    assert_never(never)

    async def _fetch(self, step: Fetch) -> None:
        started, held = self._clock.now(), self.lifecycle.access
        reason, status, skew, obstacle = "", None, None, None
        try:
            issued, progress = await self._done(step)
        except FetchFailedError as error:
            result, reason, status, obstacle = error.result, error.reason, error.status, error.obstacle
            if result is FetchResult.REFUSED:
                self.lifecycle.refused(step, self._clock.now())
            else:
                self.lifecycle.failed(step, self._clock.now(), self._chance(), error.retry_after)
        else:
            result, skew = FetchResult.GRANTED, issued.skew
            if not progress:
                result, reason = FetchResult.NO_PROGRESS, "the answer brought no token that is newer than what is held"
        now, access = self._clock.now(), self.lifecycle.access
        replaced = None if held is None or access is None or access.generation == held.generation else held
        retry_in = self.next_fetch(now) - now
        self._report(
            TokenFetched(
                grant=Grant.PASSWORD if isinstance(step, LogIn) else Grant.REFRESH,
                result=result,
                seconds=now - started,
                generation=0 if access is None else access.generation,
                reason=reason,
                status=status,
                headroom=None if replaced is None else replaced.stop_at - now,
                skew=skew,
                retry_in=retry_in if math.isfinite(retry_in) else 0.0,
                offered=isinstance(step, LogIn) and step.offered,
                obstacle=obstacle,
            )
        )
        self.wake_waiting()

    async def _done(self, step: Fetch) -> tuple[Issued, bool]:
        """Do a fetch; return what it brought, and whether it was of use.

        Raises:
            FetchFailedError: it failed, in whatever way: no answer may end the loop.
        """
        try:
            issued = await self._ask(step)
            return issued, self.lifecycle.granted(step, issued, self._clock.now(), self._chance())
        except FetchFailedError:
            raise
        except Exception as error:  # noqa: BLE001 - the loop's end would be the process's
            raise unforeseen(error) from None

    async def _ask(self, step: Fetch) -> Issued:
        if isinstance(step, LogIn):
            return await self._issuer.log_in(step.credentials, step.timeout)
        return await self._issuer.refresh(step.token, step.timeout)

    def next_fetch(self, now: float) -> float:
        """Return when the next fetch begins; `now` while one is due, and so while it is under way."""
        step = self.lifecycle.next_step(now)
        return step.until if isinstance(step, Wait) else now

    def wake(self) -> None:
        """Wake the loop: something has happened, or the clock may have jumped."""
        self._wake.set()

    def wake_waiting(self) -> None:
        """Wake all callers that wait for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_for_change(self, seconds: float) -> None:
        """Wait until a fetch has ended or something was dropped, at most so long; the loop looks again meanwhile."""
        self._wake.set()
        await self._clock.wait(self._changed, seconds)
