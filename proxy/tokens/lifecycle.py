"""Decides when which token is fetched. A pure state machine: no I/O, no clock, no asyncio; time is an argument.

    refresh --(401)--> log in --(401)--> rejected: keep what is held, log in again after 60 s, doubling to 15 min
       |                 |
       +--(anything else)+--> retry with full jitter, without end

It must never drop a token that is still good because a fetch failed, and never hand one out past its end; nor past its
stop point as long as a newer one can be had.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.tokens.backoff import REFRESH_FLOOR, Backoff, fetch_timeout
from proxy.tokens.credential_set import CredentialSet, CredentialState
from proxy.tokens.disputes import Dispute, Disputes, only_a_login_helps
from proxy.tokens.lifecycle_steps import Fetch, LogIn, Refresh, State, Step, Wait
from proxy.tokens.model import AccessToken, Grant, Issued, RefreshToken, access_token, refresh_token

if TYPE_CHECKING:
    from proxy.credentials.model import Credentials


class Lifecycle:
    """One account's tokens, and the steps that renew them.

    Ask `next_step`, do it, tell what happened: `granted`, `failed` or `refused`. One fetch at a time.

    Attributes:
        access: the access token held, in its time or not.
        credentials: what may log in.
        locked: whether tokens are neither held nor fetched.
        disputes: what refusals by the API mean.
    """

    def __init__(self, credentials: Credentials, fetch_timeout: float) -> None:
        self.access: AccessToken | None = None
        self.credentials = CredentialSet(credentials)
        self.locked = False
        self.disputes = Disputes()
        self._fetch_timeout = fetch_timeout
        self._refresh: RefreshToken | None = None
        self._candidate: RefreshToken | None = None
        self._generation = 0
        self._session = 0
        self._backoff = Backoff()
        self._login_wanted = False
        self._forced = False

    @property
    def refresh_expires_at(self) -> float | None:
        """When the refresh token held expires, or None without one."""
        return None if self._refresh is None else self._refresh.expires_at

    def usable(self, now: float) -> AccessToken | None:
        """Return the token that may be injected now, or None."""
        token = self.living(now)
        return token if token is not None and (now < token.stop_at or self._failing(now)) else None

    def living(self, now: float) -> AccessToken | None:
        """Return the token that Localpayment still accepts by its own clock, for when no newer one is to be had."""
        return self.access if self.access is not None and now < self.access.expires_at else None

    def state(self, now: float) -> State:
        """Name the state for health, metrics and people."""
        if self.locked:
            return State.LOCKED
        token = self.usable(now)
        if token is not None:
            return State.VALID if now < token.join_at else State.EXPIRING
        if self.credentials.held.rejected:
            return State.REJECTED
        return State.STARTING if self._generation == 0 else State.EXPIRED

    def next_step(self, now: float) -> Step:
        """Decide what to do at `now`."""
        if self.locked:
            return Wait(math.inf)
        at = max(self._due(now), self._backoff.until)
        return Wait(at) if now < at else self._fetch(now)

    def concerns(self, step: Fetch) -> bool:
        """Whether an answer to `step` still matters: tokens may have been dropped, credentials replaced meanwhile."""
        if step.session != self._session:
            return False
        if isinstance(step, LogIn):
            return self._login(step) is not None
        return any(held is not None and held.value is step.token for held in (self._refresh, self._candidate))

    def granted(self, step: Fetch, issued: Issued, now: float, chance: float) -> bool:
        """Take new tokens into use.

        Args:
            step: what was done.
            issued: what the answer said.
            now: the clock.
            chance: a number in [0, 1).

        Returns:
            Whether that was progress. The token that is held already is none, nor is one that is past its time.
        """
        if not self.concerns(step):
            return False
        login, on_trial = self._login(step), self._is_candidate(step)
        token = access_token(issued, self._generation + 1, Grant.REFRESH if login is None else Grant.PASSWORD, chance)
        successor = None if issued.refresh is None else refresh_token(issued.refresh, issued, chance)
        progress = now < token.stop_at and (self.access is None or token.header != self.access.header)
        if not progress:
            self.failed(step, now, chance)
        if login is not None:
            return progress and self._logged_in(login, token, successor, now)
        if progress and on_trial:
            self.credentials.granted(self.credentials.held)
            self._refresh, self._candidate, self._login_wanted = self._candidate, None, False
        if progress or not on_trial:
            self._refresh = successor or self._refresh  # The one before may be blacklisted by now.
        if progress:
            self._adopt(token, now)
        return progress

    def failed(self, step: Fetch, now: float, chance: float, retry_after: float = 0.0) -> None:
        """Note a failure that says nothing about the credential: network, 429, 5xx, malformed answer.

        `chance` in [0, 1) is the jitter; `retry_after` are the seconds that the server asked for, 0 if it did not.
        """
        if not self.concerns(step):
            return
        login = self._login(step)
        if login is not None:
            login.failed(now, retry_after)
            # What the login endpoint asks for must not keep a living refresh token from being used.
            retry_after = 0.0 if self.credentials.must_wait(login, alive=self._alive(now)) else retry_after
        self._end_trial(step, now)
        self._backoff.failed(now, chance, self._left(now), retry_after)

    def refused(self, step: Fetch, now: float) -> None:
        """Note a definitive 401 from a token endpoint."""
        if not self.concerns(step):
            return
        login = self._login(step)
        if login is not None:
            self.credentials.refused(login, now)
        elif not self._end_trial(step, now):
            self._refresh = None

    def disputed(self, generation: int, now: float, code: str | None = None) -> Dispute:
        """Note that the API refused the token of `generation`; `code` is Simple JWT's, if the answer had one."""
        token = self.access
        if self.locked:
            return Dispute.GIVEN_UP
        if token is None:
            return Dispute.RENEWING
        if generation != token.generation:
            return Dispute.STALE
        verdict = self.disputes.judge(now, code, forced=self._forced)
        if verdict is Dispute.RENEWING:
            self._login_wanted |= only_a_login_helps(token, now, code)
            self._forced = True
            self.access = replace(token, join_at=-math.inf)
        return verdict

    def unreplaced(self, generation: int, now: float) -> None:
        """Note that a call ended because the token of `generation` was refused, and was not replaced.

        As long as a first try to replace it is under way, nothing is amiss yet.
        """
        if self._holds(generation) and (self._failing(now) or not self._forced):
            self.disputes.unreplaced = True

    def accepted(self, generation: int) -> None:
        """Note that a call has succeeded with a token that was refused before."""
        if self._holds(generation):
            self.disputes.unreplaced = False

    def repeat_at(self, now: float) -> float:
        """Return when a call whose token was refused may find another: at the next fetch, or when one may be forced."""
        step = self.next_step(now)
        if not isinstance(step, Wait):
            return now
        return step.until if self._forced else min(step.until, max(self.disputes.forced_from(), now))

    def lock(self) -> None:
        """Drop all tokens and fetch none; what is being fetched is dropped when it comes."""
        self.locked = True
        self.access = self._refresh = self._candidate = None
        self._login_wanted = self._forced = self.disputes.unreplaced = False
        self._session += 1

    def unlock(self) -> None:
        """End the lock; a login follows."""
        self.locked = False

    def _logged_in(
        self, login: CredentialState, token: AccessToken, successor: RefreshToken | None, now: float
    ) -> bool:
        if login is self.credentials.held and self._healthy(now):
            # Nothing is at stake yet: the pair held stays until the new one has bought a token.
            login.rejected = False
            self._backoff.ended()
            self._candidate = successor
            if successor is None:
                login.postpone(now)
            return successor is not None
        self.credentials.granted(login)
        self._refresh = successor
        self._login_wanted = False
        self._adopt(token, now)
        return True

    def _adopt(self, token: AccessToken, now: float) -> None:
        self.disputes.put_in_use(token, now, handed_over=self.usable(now) is not None and not self._forced)
        self._generation = token.generation
        self.access = token
        self._forced = False
        self._backoff.ended()

    def _end_trial(self, step: Fetch, now: float) -> bool:
        """Drop a new pair that did not prove itself; the one held goes on, and another login waits."""
        if not self._is_candidate(step):
            return False
        self._candidate = None
        self.credentials.held.postpone(now)
        return True

    def _failing(self, now: float) -> bool:
        """Whether a newer token is not to be had just now: the last fetch failed, or there is nothing to fetch with."""
        return self._backoff.failures > 0 or (self.credentials.held.rejected and not self._alive(now))

    def _holds(self, generation: int) -> bool:
        return self.access is not None and self.access.generation == generation

    def _login(self, step: Fetch) -> CredentialState | None:
        return self.credentials.of(step.credentials) if isinstance(step, LogIn) else None

    def _is_candidate(self, step: Fetch) -> bool:
        return isinstance(step, Refresh) and self._candidate is not None and step.token is self._candidate.value

    def _due(self, now: float) -> float:
        if self.access is None or self._forced or self._candidate is not None:
            return -math.inf
        alive = self._alive(now)
        login_from = self.credentials.login_from(alive=alive)
        refresh_at = max(self.access.refresh_at, self.access.sent_at + REFRESH_FLOOR)
        due = min(refresh_at, self.credentials.offered_from(alive=alive))
        if self._login_wanted:
            due = min(due, login_from)
        if self._refresh is not None and alive:
            due = min(due, max(self._refresh.login_at, login_from))
        return due

    def _fetch(self, now: float) -> Step:
        timeout = fetch_timeout(self._left(now), self._fetch_timeout)
        if self._candidate is not None:
            return Refresh(self._candidate.value, timeout, self._session)
        alive = self._alive(now)
        login_from, offered_from = self.credentials.login_from(alive=alive), self.credentials.offered_from(alive=alive)
        if self.credentials.offered is not None and now >= offered_from:
            return LogIn(self.credentials.offered.credentials, timeout, offered=True, session=self._session)
        if now >= login_from and (not alive or self._prefers_login(now)):
            return LogIn(self.credentials.held.credentials, timeout, offered=False, session=self._session)
        if self._refresh is None or not alive:
            return Wait(min(login_from, offered_from))
        return Refresh(self._refresh.value, timeout, self._session)

    def _left(self, now: float) -> float | None:
        return None if self.access is None or now >= self.access.stop_at else self.access.stop_at - now

    def _alive(self, now: float) -> bool:
        return self._refresh is not None and now < self._refresh.expires_at

    def _healthy(self, now: float) -> bool:
        in_time = self.access is not None and now < self.access.join_at
        return in_time and self._alive(now) and not self._login_wanted

    def _prefers_login(self, now: float) -> bool:
        if self._login_wanted or (self._refresh is not None and now >= self._refresh.login_at):
            return True
        return self._backoff.failures > 0 and (self.access is None or now >= self.access.join_at)
