"""Answers that say that Localpayment has not processed a call: not a byte reached it, or it refused the token first.

All are 503, and nothing else is.
"""

from __future__ import annotations

from proxy.errors.base import Fault, Outcome, RelayError


class NotSentError(RelayError):
    """Localpayment has provably not processed the call: it may be repeated, whatever its method."""

    status = 503
    outcome = Outcome.NOT_SENT
    retryable = True
    fault = Fault.SIDECAR

    def __init__(self, detail: str, *, retry_after: float = 1.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class CredentialsRejectedError(NotSentError):
    """Localpayment refused the username and password."""

    code = "credentials_rejected"
    title = "Localpayment refused the sidecar's credentials"
    fault = Fault.CREDENTIALS
    proxy_status = "proxy_configuration_error"


class TokenUnavailableError(NotSentError):
    """No usable token is held, and none came in time."""

    code = "token_unavailable"
    title = "No access token is available"
    fault = Fault.UPSTREAM
    proxy_status = "proxy_internal_error"


class TokenRefusedError(NotSentError):
    """Localpayment's authentication layer refused the token, and no newer one is to be had in its place."""

    code = "token_refused"
    title = "Localpayment refused the sidecar's access token"
    fault = Fault.UPSTREAM
    proxy_status = "proxy_internal_error"


class LockedError(NotSentError):
    """An operator has locked the sidecar: it holds no token and fetches none."""

    code = "locked"
    title = "The sidecar is locked"
    proxy_status = "proxy_internal_response"


class UpstreamUnreachableError(NotSentError):
    """No connection: name not resolved, refused, unreachable, or too slow."""

    code = "upstream_unreachable"
    title = "Localpayment cannot be reached"
    fault = Fault.UPSTREAM
    proxy_status = "destination_unavailable"


class UpstreamTlsError(NotSentError):
    """The TLS handshake failed; nothing was sent over the connection."""

    code = "upstream_tls"
    title = "No trusted TLS connection to Localpayment"
    fault = Fault.UPSTREAM
    proxy_status = "tls_protocol_error"


class OverloadedError(NotSentError):
    """PROXY_MAX_IN_FLIGHT calls are being relayed already."""

    code = "overloaded"
    title = "The sidecar relays as many calls as it may"
    proxy_status = "connection_limit_reached"


class DrainingError(NotSentError):
    """The sidecar is shutting down."""

    code = "draining"
    title = "The sidecar is shutting down"
    proxy_status = "proxy_internal_response"
