"""Gives callers the access token at once, or after a bounded wait for the renewal loop.

A caller's cancellation must never touch a fetch, and no caller may hang because the loop died: the process ends then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from proxy.errors import CredentialsRejectedError, LockedError, NotSentError, TokenRefusedError, TokenUnavailableError
from proxy.tokens.disputes import Dispute
from proxy.tokens.events import TokenDisputed, TokenFetched
from proxy.tokens.lifecycle import Lifecycle
from proxy.tokens.lifecycle_steps import State
from proxy.tokens.renewal import Renewal, TokenEndpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.clock import Clock
    from proxy.credentials.model import Credentials
    from proxy.tokens.model import AccessToken

__all__ = ["Keeper", "TokenDisputed", "TokenEndpoints", "TokenFetched"]

LEAST_RETRY_AFTER: Final = 1.0  # seconds; the Retry-After field counts whole ones
LOCKED_RETRY_AFTER: Final = 30.0  # seconds; people unlock, and not at once
LONGEST_RETRY_AFTER: Final = 60.0  # seconds; what a refusal is about may be mended at any time


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
        report: Callable[[TokenFetched | TokenDisputed], None],
        token_wait: float,
        fetch_timeout: float,
    ) -> None:
        self._clock = clock
        self._report = report
        self._token_wait = token_wait
        self._lifecycle = Lifecycle(credentials, fetch_timeout)
        self._renewal = Renewal(issuer, self._lifecycle, clock, chance, report)

    @property
    def state(self) -> State:
        """What the token control plane is in."""
        return self._lifecycle.state(self._clock.now())

    @property
    def ready(self) -> bool:
        """Whether a token is held that may be injected now, and that Localpayment does not refuse."""
        return self._lifecycle.usable(self._clock.now()) is not None and not self._lifecycle.disputes.unreplaced

    @property
    def unreplaced(self) -> bool:
        """Whether Localpayment refuses the token held, and no newer one was to be had."""
        return self._lifecycle.disputes.unreplaced and self._lifecycle.usable(self._clock.now()) is not None

    @property
    def rejected(self) -> bool:
        """Whether the newest credentials that were tried were refused; a session may work on with older ones."""
        return self._lifecycle.credentials.rejected

    @property
    def locked(self) -> bool:
        """Whether tokens are neither held nor fetched, until `unlock`."""
        return self._lifecycle.locked

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
            LockedError: an operator has locked the sidecar.
            CredentialsRejectedError: none is held and Localpayment refused the credentials.
            TokenUnavailableError: none is held and none came in time, or can come in time.
        """
        deadline = self._deadline()
        while True:
            now = self._clock.now()
            token = self._lifecycle.usable(now)
            if token is not None and (now < token.join_at or now >= deadline or self._renewal.next_fetch(now) > now):
                return token
            if self._too_late(now, deadline):
                token = self._lifecycle.living(now)
                if token is None:
                    raise self._refusal(now)
                return token
            await self._renewal.wait_for_change(deadline - now)

    async def replacement(self, generation: int, code: str | None = None) -> AccessToken | None:
        """After a 401 for the token of `generation`: return the token to send the call with once more.

        Args:
            generation: of the token that was refused.
            code: Simple JWT's, if the 401 had one; `password_changed` and its like go straight to a login.

        Returns:
            A newer token, or the very same when it is so new that the node that refused it may not know it yet; None
            when none came in time.
        """
        match self._disputed(generation, code):
            case Dispute.GIVEN_UP:
                return None
            case Dispute.LAGGING:
                return await self._after_lag(generation)
            case Dispute.STALE | Dispute.RENEWING:
                return await self._newer(generation)
            case never:
                assert_never(never)

    def dispute(self, generation: int, code: str | None = None) -> bool:
        """After a 401 on a call that cannot be repeated: have a newer token fetched for the next calls.

        Returns:
            Whether a newer token is held or will be fetched.
        """
        return self._disputed(generation, code) in {Dispute.STALE, Dispute.RENEWING}

    def refused(self, generation: int) -> TokenRefusedError:
        """After a 401 for the token of `generation` that was not replaced: note it; return what the caller gets."""
        now = self._clock.now()
        self._lifecycle.unreplaced(generation, now)
        retry_after = max(self._lifecycle.repeat_at(now) - now, LEAST_RETRY_AFTER)
        detail = "Localpayment refused the access token before it did anything; the sidecar goes on trying for another."
        return TokenRefusedError(detail, retry_after=min(retry_after, LONGEST_RETRY_AFTER))

    def accepted(self, generation: int) -> None:
        """After a 401 for the token of `generation`: note that a later call has succeeded with it."""
        self._lifecycle.accepted(generation)

    def replace_credentials(self, credentials: Credentials) -> None:
        """Log in with other credentials at once; what is held, the old ones included, serves on until that worked.

        Those in use already change nothing, refused or not: only other ones are worth a login before its time.
        """
        self._lifecycle.credentials.offer(credentials)
        self._renewal.wake()

    def lock(self) -> None:
        """Drop all tokens, fetch none and let every caller be refused, until `unlock`."""
        self._lifecycle.lock()
        self._renewal.wake_waiting()

    def unlock(self) -> None:
        """End the lock; the loop logs in again."""
        self._lifecycle.unlock()
        self._renewal.wake()

    async def run(self) -> None:
        """Renew until cancelled; only a defect ends it otherwise."""
        await self._renewal.run()

    def _disputed(self, generation: int, code: str | None) -> Dispute:
        verdict = self._lifecycle.disputed(generation, self._clock.now(), code)
        renewing = verdict in {Dispute.STALE, Dispute.RENEWING}
        self._report(TokenDisputed(generation, renewing, lagging=verdict is Dispute.LAGGING))
        self._renewal.wake()
        return verdict

    async def _newer(self, generation: int) -> AccessToken | None:
        deadline = self._clock.now() + self._token_wait
        while True:
            now = self._clock.now()
            token = self._lifecycle.usable(now)
            if token is not None and token.generation > generation:
                return token
            if self._too_late(now, deadline):
                return None
            await self._renewal.wait_for_change(deadline - now)

    async def _after_lag(self, generation: int) -> AccessToken | None:
        """Return the token of `generation` once it should be known everywhere, or a newer one as soon as there is."""
        now = self._clock.now()
        until = min(self._lifecycle.disputes.lag_ends_at, now + self._token_wait)
        while True:
            now = self._clock.now()
            token = self._lifecycle.usable(now)
            if token is None or token.generation > generation or now >= until:
                return token
            await self._renewal.wait_for_change(until - now)

    def _deadline(self) -> float:
        """Until when a caller waits: no longer than half of what is left of a token that lives, so that it can go."""
        now = self._clock.now()
        held = self._lifecycle.living(now)
        return now + (self._token_wait if held is None else min(self._token_wait, (held.expires_at - now) / 2))

    def _too_late(self, now: float, deadline: float) -> bool:
        """Whether the time to wait is over, or will be before anything is fetched."""
        return now >= deadline or self._renewal.next_fetch(now) > deadline

    def _refusal(self, now: float) -> NotSentError:
        retry_after = max(self._renewal.next_fetch(now) - now, LEAST_RETRY_AFTER)
        match self._lifecycle.state(now):
            case State.LOCKED:
                detail = "The sidecar is locked: it holds no token and fetches none until an operator unlocks it."
                return LockedError(detail, retry_after=LOCKED_RETRY_AFTER)
            case State.REJECTED:
                detail = "Localpayment refused the username and password that the sidecar has; an operator must act."
                return CredentialsRejectedError(detail, retry_after=retry_after)
            case _:
                detail = "The sidecar holds no usable access token and none came in time; it goes on trying."
                return TokenUnavailableError(detail, retry_after=retry_after)
