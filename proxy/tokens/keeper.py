"""Who renews the token, and how do callers get it? One loop carries out the lifecycle's steps; callers only look or wait.

It must never run two fetches at once, and no caller's cancellation may touch a fetch. When the loop dies the process must.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, assert_never

from proxy.errors import CredentialsRejectedError, TokenUnavailableError
from proxy.tokens.issuer import FetchFailedError, FetchResult
from proxy.tokens.lifecycle import Lifecycle, LogIn, Refresh, State, Wait
from proxy.tokens.model import Grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.clock import Clock
    from proxy.credentials.model import Credentials
    from proxy.secret import Secret
    from proxy.tokens.model import AccessToken, Issued

NAP = 15.0  # seconds; the loop's timer stops in suspend, so it looks at the clock at least this often


class TokenEndpoints(Protocol):
    """What the keeper needs of an issuer; both raise FetchFailedError and nothing else."""

    async def log_in(self, credentials: Credentials, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the call
        """Exchange username and password for a pair."""
        ...

    async def refresh(self, token: Secret, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the call
        """Exchange a refresh token for an access token."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetch ended.

    Attributes:
        grant: what was tried.
        result: how it ended.
        seconds: how long it took.
        generation: of the token held afterwards, 0 without one.
        reason: why it failed, in words of ours; empty when it did not.
        status: the HTTP status of a failure, if there was an answer.
        headroom: seconds that the replaced token could still have been injected; None when none was replaced.
        skew: the server's clock minus ours in seconds, if the answer told.
        retry_in: seconds until the loop will act again.
    """

    grant: Grant
    result: FetchResult
    seconds: float
    generation: int
    reason: str
    status: int | None
    headroom: float | None
    skew: float | None
    retry_in: float


@dataclass(frozen=True, slots=True)
class Disputed:
    """The API refused a token; `renewing` says whether a newer one is held or will be fetched."""

    generation: int
    renewing: bool


class Keeper:
    """Holds one account's tokens.

    Args:
        issuer: the token endpoints.
        credentials: what to log in with.
        clock: the time.
        chance: a source of numbers in [0, 1).
        report: told of every fetch and dispute; must not raise or block.
        token_wait: seconds that a caller waits at most.
        fetch_timeout: seconds that one fetch takes at most.
    """

    def __init__(  # noqa: PLR0913 - what a keeper is made of, each named at the call
        self,
        *,
        issuer: TokenEndpoints,
        credentials: Credentials,
        clock: Clock,
        chance: Callable[[], float],
        report: Callable[[Fetched | Disputed], None],
        token_wait: float,
        fetch_timeout: float,
    ) -> None:
        self._issuer = issuer
        self._credentials = credentials
        self._clock = clock
        self._chance = chance
        self._report = report
        self._token_wait = token_wait
        self._lifecycle = Lifecycle(fetch_timeout)
        self._fetching = False
        self._wake = asyncio.Event()
        self._news = asyncio.Event()

    @property
    def state(self) -> State:
        """What the token control plane is in."""
        return self._lifecycle.state(self._clock.now())

    @property
    def ready(self) -> bool:
        """Whether a token is held that may be injected now."""
        return self._lifecycle.usable(self._clock.now()) is not None

    @property
    def rejected(self) -> bool:
        """Whether the last login was refused."""
        return self._lifecycle.rejected

    @property
    def expiries(self) -> tuple[float | None, float | None]:
        """Seconds until the access and the refresh token expire, None for one that is not held."""
        now, access = self._clock.now(), self._lifecycle.access
        refresh_expires_at = self._lifecycle.refresh_expires_at
        return (
            None if access is None else access.expires_at - now,
            None if refresh_expires_at is None else refresh_expires_at - now,
        )

    def current(self) -> AccessToken | None:
        """Return the token to inject, or None when `obtain` must be awaited; one clock reading and one comparison."""
        token = self._lifecycle.access
        return token if token is not None and self._clock.now() < token.join_at else None

    async def obtain(self) -> AccessToken:
        """Return the token to inject, after a bounded wait if a fetch is under way or none is held.

        Raises:
            CredentialsRejectedError: none is held and Localpayment refused the credentials.
            TokenUnavailableError: none is held and none came in time.
        """
        deadline = self._clock.now() + self._token_wait
        while True:
            now = self._clock.now()
            token, busy = self._lifecycle.usable(now), self._busy(now)
            if token is not None and (not busy or now >= deadline):
                return token
            if token is None and not busy and self._lifecycle.rejected:
                detail = (
                    "Localpayment refused the username and password that the sidecar was given; an operator must act."
                )
                raise CredentialsRejectedError(detail, retry_after=self._until_next_try(now))
            if now >= deadline:
                detail = "The sidecar holds no usable access token and none came in time; it goes on trying."
                raise TokenUnavailableError(detail)
            await self._next_news(deadline - now)

    async def replacement(self, generation: int) -> AccessToken | None:
        """After a 401 for the token of `generation`: return a newer one, or None when none came in time."""
        deadline = self._clock.now() + self._token_wait
        renewing = self.dispute(generation)
        while renewing:
            now = self._clock.now()
            token = self._lifecycle.usable(now)
            if token is not None and token.generation > generation:
                return token
            if now >= deadline or (self._lifecycle.rejected and not self._busy(now)):
                break
            await self._next_news(deadline - now)
        return None

    def dispute(self, generation: int) -> bool:
        """After a 401 for the token of `generation` that nobody can repeat: see to a newer one for the calls to come.

        Returns:
            Whether a newer token is held or will be fetched.
        """
        renewing = self._lifecycle.disputed(generation, self._clock.now())
        self._report(Disputed(generation, renewing))
        if renewing:
            self._wake.set()
        return renewing

    def replace_credentials(self, credentials: Credentials) -> None:
        """Log in with other credentials at once; the token held serves on until that worked."""
        self._credentials = credentials
        self._lifecycle.credentials_changed()
        self._wake.set()

    async def run(self) -> None:
        """Renew for ever; ends only by cancellation."""
        while True:
            self._wake.clear()
            now = self._clock.now()
            match self._lifecycle.next_step(now):
                case Wait(until):
                    await self._clock.wait(self._wake, min(until - now, NAP))
                case LogIn() | Refresh() as step:
                    await self._fetch(step)
                case never:
                    assert_never(never)

    async def _fetch(self, step: LogIn | Refresh) -> None:
        grant = Grant.PASSWORD if isinstance(step, LogIn) else Grant.REFRESH
        credentials, started, held = self._credentials, self._clock.now(), self._lifecycle.access
        reason, status, skew = "", None, None
        self._fetching = True
        try:
            issued = await self._ask(step)
        except FetchFailedError as error:
            result, reason, status, now = error.result, error.reason, error.status, self._clock.now()
            if credentials is not self._credentials:
                pass  # News about credentials that were replaced meanwhile concerns nobody.
            elif result is FetchResult.REFUSED:
                self._lifecycle.refused(grant, now)
            else:
                self._lifecycle.failed(grant, now, self._chance(), error.retry_after)
        else:
            now, skew = self._clock.now(), issued.skew
            progress = self._lifecycle.granted(grant, issued, now, self._chance())
            result = FetchResult.GRANTED if progress else FetchResult.NO_PROGRESS
        finally:
            self._fetching = False
        access = self._lifecycle.access
        self._report(
            Fetched(
                grant=grant,
                result=result,
                seconds=now - started,
                generation=0 if access is None else access.generation,
                reason=reason,
                status=status,
                headroom=None if held is None or access is held else held.stop_at - now,
                skew=skew,
                retry_in=self._until_next_try(now),
            )
        )
        self._news.set()
        self._news = asyncio.Event()

    async def _ask(self, step: LogIn | Refresh) -> Issued:
        if isinstance(step, LogIn):
            return await self._issuer.log_in(self._credentials, step.timeout)
        return await self._issuer.refresh(step.token, step.timeout)

    async def _next_news(self, seconds: float) -> None:
        self._wake.set()
        await self._clock.wait(self._news, seconds)

    def _busy(self, now: float) -> bool:
        return self._fetching or not isinstance(self._lifecycle.next_step(now), Wait)

    def _until_next_try(self, now: float) -> float:
        step = self._lifecycle.next_step(now)
        return max(step.until - now, 0.0) if isinstance(step, Wait) else 0.0
