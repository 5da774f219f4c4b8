"""Records every secret that passes the token endpoints, so that the log can mask it.

It must never hold back or change an answer, nor fail a fetch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.credentials.model import Credentials
    from proxy.ops.logs.redaction import KnownSecrets
    from proxy.secret import Secret
    from proxy.tokens.keeper import TokenEndpoints
    from proxy.tokens.model import Issued


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
