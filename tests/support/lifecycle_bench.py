"""Drives a lifecycle by hand: what is done next, what came of it, what the time is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from proxy.secret import Secret
from proxy.tokens.lifecycle import Lifecycle
from proxy.tokens.lifecycle_steps import LogIn, Refresh, Wait
from proxy.tokens.model import DATE_UNCERTAINTY, Issued
from tests.support.fakes import CREDENTIALS

if TYPE_CHECKING:
    from proxy.credentials.model import Credentials
    from proxy.tokens.lifecycle_steps import Fetch

DAY = 86400.0
START = 1000.0


class Bench:
    """A lifecycle at a time that the test sets; `chance` is 0 unless a call says otherwise."""

    def __init__(self, credentials: Credentials = CREDENTIALS) -> None:
        self.life = Lifecycle(credentials, fetch_timeout=5.0)
        self.now = START
        self._numbers = itertools.count(1)

    def issued(
        self,
        lifetime: float = 300.0,
        *,
        access: str | None = None,
        refresh: str | None = None,
        sent: float | None = None,
    ) -> Issued:
        return Issued(
            access=Secret(access or f"access-{next(self._numbers)}"),
            access_lifetime=lifetime,
            refresh=None if refresh is None else Secret(refresh),
            refresh_lifetime=0.0 if refresh is None else DAY,
            sent_at=self.now if sent is None else sent,
            uncertainty=DATE_UNCERTAINTY,
            skew=None,
        )

    def fetch(self) -> Fetch:
        step = self.life.next_step(self.now)
        assert not isinstance(step, Wait), f"nothing is done before {step.until - START:g} s"
        return step

    def login(self) -> LogIn:
        step = self.fetch()
        assert isinstance(step, LogIn)
        return step

    def refresh(self) -> Refresh:
        step = self.fetch()
        assert isinstance(step, Refresh)
        return step

    def waits(self) -> float:
        """Seconds from the start at which something is done next."""
        step = self.life.next_step(self.now)
        assert isinstance(step, Wait), f"{type(step).__name__} is done now"
        return step.until - START

    def at(self, seconds: float) -> Bench:
        """Be so many seconds after the start."""
        self.now = START + seconds
        return self

    def grant(self, step: Fetch, issued: Issued, chance: float = 0.0) -> bool:
        return self.life.granted(step, issued, self.now, chance)

    def fail(self, step: Fetch, chance: float = 0.0, retry_after: float = 0.0) -> None:
        self.life.failed(step, self.now, chance, retry_after)

    def refuse(self, step: Fetch) -> None:
        self.life.refused(step, self.now)

    def started(self, lifetime: float = 300.0) -> Bench:
        """Log in at the start; the refresh token is called `first`."""
        assert self.grant(self.login(), self.issued(lifetime, refresh="first"))
        return self

    def text(self) -> str | None:
        """The access token that may be injected now."""
        token = self.life.usable(self.now)
        return None if token is None else token.header.removeprefix(b"Bearer ").decode()
