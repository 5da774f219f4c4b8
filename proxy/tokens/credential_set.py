"""Decides which credentials may log in and when: those in use, and newer ones that have not logged in yet.

Pure. Credentials that turn out bad must never displace a session that works. None may be tried fast: accounts can lock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from proxy.tokens.backoff import LARGEST_EXPONENT, RETRY_AFTER_CAP

if TYPE_CHECKING:
    from proxy.credentials.model import Credentials

LOGIN_FLOOR: Final = 60.0  # seconds from a login that failed to the next; DESIGN section 5, as the next
LOGIN_FLOOR_CAP: Final = 900.0  # what it doubles to as long as logins are refused


class CredentialState:
    """Credentials, and when they may be tried.

    Attributes:
        credentials: what to log in with.
        rejected: whether the last login was refused with a 401.
        until: no login before, unless there is no other way and the last one was not refused.
    """

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.rejected = False
        self.until = -math.inf
        self._setbacks = 0

    def refused(self, now: float) -> None:
        """Note a 401: again in 60 s, doubling to 15 min."""
        self.rejected = True
        self.postpone(now)

    def postpone(self, now: float) -> None:
        """Note a login that brought no usable token; the same pause follows."""
        self.until = now + min(LOGIN_FLOOR * 2 ** min(self._setbacks, LARGEST_EXPONENT), LOGIN_FLOOR_CAP)
        self._setbacks += 1

    def failed(self, now: float, retry_after: float) -> None:
        """Note a failure that says nothing about the credentials."""
        self.until = max(self.until, now + max(LOGIN_FLOOR, min(retry_after, RETRY_AFTER_CAP)))

    def granted(self) -> None:
        """Note a successful login."""
        self.rejected = False
        self.until = -math.inf
        self._setbacks = 0


class CredentialSet:
    """The credentials in use, and newer ones that are offered in their place, if any.

    Attributes:
        held: what the session comes from; stays until an offered one has logged in.
        offered: newer credentials, or None.

    `alive` says, wherever it is asked for, whether a refresh token could serve in place of a login.
    """

    def __init__(self, credentials: Credentials) -> None:
        self.held = CredentialState(credentials)
        self.offered: CredentialState | None = None

    @property
    def rejected(self) -> bool:
        """Whether the newest credentials that were tried were refused."""
        return self.held.rejected or (self.offered is not None and self.offered.rejected)

    def offer(self, credentials: Credentials) -> None:
        """Take newer credentials; those known already change nothing, those in use withdraw an offer."""
        if credentials == self.held.credentials:
            self.offered = None
        elif self.offered is None or credentials != self.offered.credentials:
            self.offered = CredentialState(credentials)

    def of(self, credentials: Credentials) -> CredentialState | None:
        """Return the state of these very credentials; None when others have replaced them."""
        return next((it for it in (self.held, self.offered) if it is not None and it.credentials is credentials), None)

    def granted(self, account: CredentialState) -> None:
        """Note a successful login; offered credentials replace those held."""
        account.granted()
        if account is self.offered:
            self.held, self.offered = account, None

    def refused(self, account: CredentialState, now: float) -> None:
        """Note a 401; when those held are refused, the offered ones replace them."""
        account.refused(now)
        if self.offered is not None and self.held.rejected:
            self.held, self.offered = self.offered, None

    def login_from(self, *, alive: bool) -> float:
        """When the credentials held may log in."""
        return self.held.until if self.must_wait(self.held, alive=alive) else -math.inf

    def offered_from(self, *, alive: bool) -> float:
        """When the offered credentials may log in; never without any."""
        if self.offered is None:
            return math.inf
        return self.offered.until if self.must_wait(self.offered, alive=alive) else -math.inf

    def must_wait(self, account: CredentialState, *, alive: bool) -> bool:
        """Whether the floor holds: after a 401, or while there is another way to a token than this login."""
        return account.rejected or alive or (account is self.offered and not self.held.rejected)
