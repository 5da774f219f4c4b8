"""Puts together what keeps the token of one account: credentials, issuer, keeper, and the watch on their source.

Every secret that passes the token endpoints is recorded on the way, so that the log can mask it; that must never hold
back or change an answer, nor fail a fetch.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from proxy.credentials.watch import Reloaded, Watch
from proxy.tokens.issuer import Issuer
from proxy.tokens.keeper import Keeper

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.clock import Clock
    from proxy.config import Settings
    from proxy.credentials.model import Credentials, Source
    from proxy.credentials.watch import Event
    from proxy.ops.logs.redaction import KnownSecrets
    from proxy.ops.observers import Observers
    from proxy.secret import Secret
    from proxy.tokens.keeper import TokenDisputed, TokenEndpoints, TokenFetched
    from proxy.tokens.model import Issued


class ControlPlane:
    """The control plane of a sidecar; `keeper.run` and `watch.run` are to be run.

    Args:
        settings: all of them.
        source: of the credentials.
        credentials: that it gave at the start.
        tls: by which Localpayment is verified; None without TLS.
        clock: the time.
        observers: told of what happens.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it is made of, each named once
        self,
        settings: Settings,
        source: Source,
        credentials: Credentials,
        tls: ssl.SSLContext | None,
        clock: Clock,
        observers: Observers,
    ) -> None:
        self._clock = clock
        self._observers = observers
        self.issuer = Issuer(settings.origin, clock, tls, settings.egress_proxy)
        self.keeper = Keeper(
            issuer=SecretRecordingIssuer(self.issuer, observers.log.known, observers.failed),
            credentials=credentials,
            clock=clock,
            chance=random.SystemRandom().random,
            report=self._reported,
            token_wait=settings.token_wait,
            fetch_timeout=settings.token_timeout,
        )
        self.watch = Watch(source, held=credentials, clock=clock, report=self._looked)
        observers.metrics.credentials_loaded.set(clock.wall())

    def lock(self) -> None:
        """Refuse every caller from now on, and hold no token."""
        self.keeper.lock()
        self._observers.log.logger.warning("sidecar.locked")

    def unlock(self) -> None:
        """Log in again, and serve."""
        self.keeper.unlock()
        self._observers.log.logger.warning("sidecar.unlocked")

    def _looked(self, event: Event) -> None:
        self._observers.looked(event)
        if isinstance(event, Reloaded):
            self._observers.metrics.credentials_loaded.set(self._clock.wall())
            self.keeper.replace_credentials(event.credentials)

    def _reported(self, report: TokenFetched | TokenDisputed) -> None:
        self._observers.reported(report, self.keeper.state)


class SecretRecordingIssuer:
    """Token endpoints whose secrets are recorded; stands between keeper and issuer.

    Args:
        endpoints: what is asked.
        known: takes the secrets.
        failed: called with an exception that recording has raised; the fetch goes on.
    """

    def __init__(
        self, endpoints: TokenEndpoints, known: KnownSecrets, failed: Callable[[str, Exception], None]
    ) -> None:
        self._endpoints = endpoints
        self._known = known
        self._failed = failed

    async def log_in(self, credentials: Credentials, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the call
        """Exchange username and password for a pair, as the endpoints do."""
        self._note(self._known.keep, credentials.password)
        return self._noted(await self._endpoints.log_in(credentials, timeout))

    async def refresh(self, token: Secret, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the call
        """Exchange a refresh token for an access token, as the endpoints do."""
        self._note(self._known.learn, token)
        return self._noted(await self._endpoints.refresh(token, timeout))

    def _noted(self, issued: Issued) -> Issued:
        self._note(self._known.learn, issued.access, issued.refresh)
        return issued

    def _note(self, take: Callable[..., None], *secrets: Secret | None) -> None:
        try:
            take(*secrets)
        except Exception as error:  # noqa: BLE001 - a recorder must not fail a fetch
            self._failed("witness", error)
