"""Decides what follows when the API has refused a token. Pure.

It must never ask the token's time whether to believe a 401, and never fetch more than three tokens a minute because of
401s: they may be nothing that a token cures.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from proxy.tokens.model import Grant

if TYPE_CHECKING:
    from proxy.tokens.model import AccessToken

LAG: Final = 2.0  # seconds in which a new token should be good everywhere; below PROXY_TOKEN_WAIT's default
FORCED_FETCHES: Final = 3  # this and the next: DESIGN section 5
FORCED_WINDOW: Final = 60.0  # seconds
# Simple JWT 5.5.1, authentication.py: for these a refresh answers 200 with the next dead token, only a login helps.
LOGIN_CODES: Final = frozenset({"password_changed", "user_inactive", "user_not_found"})


class Dispute(StrEnum):
    """What follows.

    STALE: nothing, a newer token is held. LAGGING: the token was put in use a moment ago, so the node that refused it
    may not know it yet; the same one should be tried again. RENEWING: a newer one is fetched. GIVEN_UP: none is.
    """

    STALE = "stale"
    LAGGING = "lagging"
    RENEWING = "renewing"
    GIVEN_UP = "given_up"


class Disputes:
    """Judges refusals of the token in use.

    Attributes:
        lag_ends_at: until then a refusal may come from a node that lags behind.
        unreplaced: whether the token in use was refused, none was to be had in its place, and no call has succeeded
            with it since.
    """

    def __init__(self) -> None:
        self.lag_ends_at = -math.inf
        self.unreplaced = False
        self._forced_at: deque[float] = deque(maxlen=FORCED_FETCHES)

    def put_in_use(self, token: AccessToken, now: float, *, handed_over: bool) -> None:
        """Note a new token; `handed_over` says that it took the place of one that was not refused."""
        lag = min(LAG, (token.expires_at - token.sent_at) / 10)
        self.lag_ends_at = now + lag if handed_over else -math.inf
        self.unreplaced = False

    def judge(self, now: float, code: str | None, *, forced: bool) -> Dispute:
        """Say what follows from a refusal of the token in use.

        Args:
            now: the clock.
            code: Simple JWT's, if the answer had one.
            forced: whether a newer one is to be fetched already because of such a refusal.
        """
        if forced:
            return Dispute.RENEWING
        if now < self.lag_ends_at and code not in LOGIN_CODES:
            return Dispute.LAGGING
        if now < self.forced_from():
            return Dispute.GIVEN_UP
        self._forced_at.append(now)
        return Dispute.RENEWING

    def forced_from(self) -> float:
        """From when on another fetch may be forced."""
        return self._forced_at[0] + FORCED_WINDOW if len(self._forced_at) == FORCED_FETCHES else -math.inf


def only_a_login_helps(token: AccessToken, now: float, code: str | None) -> bool:
    """Whether a refresh would bring another dead token: the code says so, or a refreshed token was refused at once."""
    young = now - token.sent_at < (token.expires_at - token.sent_at) / 10
    return code in LOGIN_CODES or (token.grant is Grant.REFRESH and young)
