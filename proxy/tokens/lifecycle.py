"""When is which token fetched? A pure state machine: no I/O, no clock, no asyncio; time and chance are arguments.

    refresh --(401)--> log in --(401)--> rejected: keep what is held, log in again after 60 s, doubling to 15 min
       |                 |
       +--(anything else)+--> retry with full jitter, for ever

It must never drop a token that is still good because a fetch failed, and never hand one out past its stop point.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from proxy.tokens.model import AccessToken, Grant, Issued, RefreshToken, access_token, refresh_token

if TYPE_CHECKING:
    from proxy.secret import Secret

RETRY_BASE = 0.5  # seconds; this and the next three: DESIGN section 5
RETRY_CAP_ALIVE = 15.0
RETRY_CAP_DEAD = 4.0
RETRY_AFTER_CAP = 300.0  # seconds; a longer Retry-After is read as this, so that every wait is bounded
LOGIN_FLOOR = 60.0  # seconds between a failed login and the next while a refresh token could serve; doubles after a 401
LOGIN_FLOOR_CAP = 900.0
FORCED_FETCHES = 3  # by 401s from the API ...
FORCED_WINDOW = 60.0  # ... in so many seconds
MIN_TIMEOUT = 0.5  # seconds; a fetch is given no less, however short-lived the tokens are


class State(StrEnum):
    """What the token control plane is in, as an operator would say it."""

    STARTING = "starting"
    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`, unless something happens."""

    until: float


@dataclass(frozen=True, slots=True)
class LogIn:
    """Fetch a pair with username and password, in at most `timeout` seconds."""

    timeout: float


@dataclass(frozen=True, slots=True)
class Refresh:
    """Fetch an access token with `token`, in at most `timeout` seconds."""

    token: Secret
    timeout: float


Step = Wait | LogIn | Refresh


class Lifecycle:
    """One credential's tokens and the ladder that renews them.

    Ask `next_step`, do it, tell what happened: `granted`, `failed` or `refused`. One step at a time.
    """

    def __init__(self, fetch_timeout: float) -> None:
        self.access: AccessToken | None = None
        self.rejected = False
        self._fetch_timeout = fetch_timeout
        self._refresh: RefreshToken | None = None
        self._generation = 0
        self._failures = 0
        self._retry_at = -math.inf
        self._login_wanted = False
        self._login_after = -math.inf
        self._rejections = 0
        self._forced = False
        self._forced_at: deque[float] = deque(maxlen=FORCED_FETCHES)

    @property
    def refresh_expires_at(self) -> float | None:
        """When the refresh token held expires, or None without one."""
        return None if self._refresh is None else self._refresh.expires_at

    def usable(self, now: float) -> AccessToken | None:
        """Return the token that may be injected now, or None."""
        return self.access if self.access is not None and now < self.access.stop_at else None

    def state(self, now: float) -> State:
        """Name the state for health, metrics and people."""
        token = self.usable(now)
        if token is not None:
            return State.VALID if now < token.join_at else State.EXPIRING
        if self.rejected:
            return State.REJECTED
        return State.STARTING if self._generation == 0 else State.EXPIRED

    def next_step(self, now: float) -> Step:
        """Decide what to do at `now`."""
        at = max(self._due(), self._retry_at)
        refresh = self._refresh if self._refresh is not None and now < self._refresh.expires_at else None
        if now < at:
            return Wait(at)
        if now >= self._login_after and (refresh is None or self._prefers_login(refresh, now)):
            return LogIn(self._timeout(now))
        if refresh is not None:
            return Refresh(refresh.value, self._timeout(now))
        return Wait(self._login_after)

    def granted(self, grant: Grant, issued: Issued, now: float, chance: float) -> bool:
        """Take new tokens over.

        Args:
            grant: how they were got.
            issued: what the answer said.
            now: the clock.
            chance: a number in [0, 1).

        Returns:
            Whether that was progress; the very token that is held already counts as a failure.
        """
        token = access_token(issued, self._generation + 1, grant, chance)
        if self.access is not None and token.header == self.access.header:
            self.failed(grant, now, chance)
            return False
        self._generation += 1
        self.access = token
        if issued.refresh is not None:
            self._refresh = refresh_token(issued.refresh, issued, chance)
        elif grant is Grant.PASSWORD:
            self._refresh = None
        if grant is Grant.PASSWORD:
            self._allow_login()
            self._login_wanted = False
        self._failures = 0
        self._retry_at = -math.inf
        self._forced = False
        return True

    def failed(self, grant: Grant, now: float, chance: float, retry_after: float = 0.0) -> None:
        """Note a failure that says nothing about the credential: network, 429, 5xx, malformed answer.

        Args:
            grant: what was tried.
            now: the clock.
            chance: a number in [0, 1), the full jitter (Brooker, "Exponential Backoff And Jitter", 2015).
            retry_after: seconds that the server asked for, 0 if it did not.
        """
        token = self.usable(now)
        cap = RETRY_CAP_DEAD if token is None else min(RETRY_CAP_ALIVE, (token.stop_at - now) / 4)
        delay = chance * min(cap, RETRY_BASE * 2 ** min(self._failures, 10))
        self._failures += 1
        self._retry_at = now + max(delay, min(retry_after, RETRY_AFTER_CAP))
        if grant is Grant.PASSWORD and self._refresh is not None and now < self._refresh.expires_at:
            self._login_after = max(self._login_after, now + LOGIN_FLOOR)

    def refused(self, grant: Grant, now: float) -> None:
        """Note a definitive 401 from a token endpoint."""
        if grant is Grant.REFRESH:
            self._refresh = None
            self._login_wanted = True
            return
        self.rejected = True
        self._login_after = now + min(LOGIN_FLOOR * 2 ** min(self._rejections, 10), LOGIN_FLOOR_CAP)
        self._rejections += 1

    def disputed(self, generation: int, now: float) -> bool:
        """Note that the API refused the token of `generation`.

        Returns:
            Whether a newer token is held or will be fetched. Not when three fetches were forced within a minute.
        """
        token = self.access
        if token is None or generation != token.generation or self._forced:
            return True
        if len(self._forced_at) == FORCED_FETCHES and now - self._forced_at[0] < FORCED_WINDOW:
            return False
        self._forced_at.append(now)
        self._forced = True
        # Simple JWT after a password change: refreshed tokens are dead on arrival, only a login helps.
        young = now - token.sent_at < (token.expires_at - token.sent_at) / 10
        self._login_wanted = self._login_wanted or (token.grant is Grant.REFRESH and young)
        self.access = replace(token, join_at=-math.inf)
        return True

    def credentials_changed(self) -> None:
        """Log in at once: a new username or password deserves a fresh try."""
        self._allow_login()
        self._login_wanted = True
        self._retry_at = -math.inf

    def _allow_login(self) -> None:
        self.rejected = False
        self._rejections = 0
        self._login_after = -math.inf

    def _due(self) -> float:
        if self.access is None or self._forced:
            return -math.inf
        due = self.access.refresh_at
        if self._login_wanted:
            due = min(due, self._login_after)
        if self._refresh is not None:
            due = min(due, max(self._refresh.login_at, self._login_after))
        return due

    def _prefers_login(self, refresh: RefreshToken, now: float) -> bool:
        if self._login_wanted or now >= refresh.login_at:
            return True
        return self._failures > 0 and (self.access is None or now >= self.access.join_at)

    def _timeout(self, now: float) -> float:
        """Leave time for another try before the token held stops, as far as the setting allows."""
        token = self.usable(now)
        if token is None:
            return self._fetch_timeout
        return min(self._fetch_timeout, max((token.stop_at - now) / 3, MIN_TIMEOUT))
