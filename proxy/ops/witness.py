"""How does the log know what must never stand in it? Every secret passes the token endpoints, and is noted there.

It only looks on: it must never keep an answer back, change one, or fail a fetch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.credentials.model import Credentials
    from proxy.ops.redaction import KnownSecrets
    from proxy.secret import Secret
    from proxy.tokens.keeper import TokenEndpoints
    from proxy.tokens.model import Issued


class Witness:
    """Token endpoints whose secrets are noted; stands between keeper and issuer."""

    def __init__(self, endpoints: TokenEndpoints, known: KnownSecrets) -> None:
        self._endpoints = endpoints
        self._known = known

    async def log_in(self, credentials: Credentials, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the call
        """Exchange username and password for a pair, as the endpoints do."""
        self._known.keep(credentials.password)
        return self._noted(await self._endpoints.log_in(credentials, timeout))

    async def refresh(self, token: Secret, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the call
        """Exchange a refresh token for an access token, as the endpoints do."""
        self._known.learn(token)
        return self._noted(await self._endpoints.refresh(token, timeout))

    def _noted(self, issued: Issued) -> Issued:
        self._known.learn(issued.access, issued.refresh)
        return issued
