"""Declares the errors of a call; each states its status, public code and outcome, and nothing else does.

503 from us means: provably not processed. 502 and 504 mean: sent, outcome unknown. Nothing here may blur that line.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final


class Outcome(StrEnum):
    """What is known of a call's fate at Localpayment."""

    ANSWERED = "answered"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    ABORTED = "aborted"
    ORPHANED = "orphaned"


# What may have had an effect that the caller did not learn of.
UNSETTLED: Final = frozenset((Outcome.UNKNOWN, Outcome.ABORTED, Outcome.ORPHANED))


class RelayError(Exception):
    """A call that we answer ourselves.

    Attributes:
        status: HTTP status of our answer.
        code: public, stable identifier; the last part of the problem's type URI.
        title: the same in words; constant per class (RFC 9457 section 3.1.3).
        outcome: what is known of the call's fate; a refusal in the middle of a streamed body turns it to UNKNOWN.
        retryable: whether the same call may be sent again without any risk.
        proxy_status: error type of the Proxy-Status field (RFC 9209 section 2.3); what kept a connection from coming
            about has one of its own.
        more: members of the problem besides the usual ones.
        detail: what happened this time and what to do; holds nothing that a caller or Localpayment sent.
        retry_after: seconds for the Retry-After field, or None.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    outcome: Outcome
    retryable: ClassVar[bool]
    proxy_status: str

    def __init_subclass__(cls, **on_the_wire: object) -> None:
        """Take `status`, `code` and `proxy_status` as a class's own arguments; what is not given is the base's."""
        for name, value in on_the_wire.items():
            setattr(cls, name, value)

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.more: dict[str, object] = {}
        self.retry_after = retry_after


class RefusedError(RelayError, proxy_status="http_request_denied"):
    """We refused the call; nothing of it was sent."""

    outcome = Outcome.REJECTED
    retryable = False


class OperationForbiddenError(RefusedError, status=403, code="operation_forbidden"):
    """The policy, or the token endpoints' own rule, forbids the operation."""

    title = "This operation may not be called through the sidecar"


class HostForbiddenError(RefusedError, status=403, code="host_forbidden"):
    """The Host field names no accepted host."""

    title = "This Host is not accepted"


class BrowserForbiddenError(RefusedError, status=403, code="browser_forbidden"):
    """The request comes from a browser page."""

    title = "Requests from browser pages are not accepted"


class HeaderRequiredError(RefusedError, status=412, code="header_required"):
    """The header field of PROXY_REQUIRED_HEADER is missing, or has another value."""

    title = "A required header field is missing"


class MethodForbiddenError(RefusedError, status=405, code="method_forbidden"):
    """CONNECT and TRACE are never relayed."""

    title = "This method is not relayed"


class BadTargetError(RefusedError, status=400, code="bad_target", proxy_status="http_request_error"):
    """The request target is not origin-form, or can be read in two ways."""

    title = "The request target is not acceptable"


class BadRequestError(RefusedError, status=400, code="bad_request", proxy_status="http_request_error"):
    """The request is not valid HTTP."""

    title = "The request is not valid HTTP"


class BodyTooLargeError(RefusedError, status=413, code="body_too_large", proxy_status="http_request_error"):
    """The body is larger than PROXY_MAX_REQUEST_BODY."""

    title = "The request body is too large"


class HeaderTooLargeError(RefusedError, status=431, code="header_too_large", proxy_status="http_request_error"):
    """The request head is larger than the sidecar accepts."""

    title = "The request head is too large"


class TargetTooLongError(RefusedError, status=414, code="target_too_long", proxy_status="http_request_error"):
    """The request target is longer than the sidecar accepts."""

    title = "The request target is too long"


class ExpectationFailedError(RefusedError, status=417, code="expectation_failed", proxy_status="http_request_error"):
    """The caller expects something other than 100-continue."""

    title = "The request's expectation cannot be met"


class SlowRequestError(RefusedError, status=408, code="slow_request", proxy_status="http_request_error"):
    """The request did not arrive in time."""

    title = "The request did not arrive in time"


class DuplicateCallError(RefusedError, status=409, code="duplicate_call"):
    """The call repeats an earlier one that may have been carried out, and PROXY_DUPLICATES refuses that."""

    title = "The same call was sent before"


class NotSentError(RelayError, status=503):
    """Localpayment has provably not processed the call: it may be repeated, whatever its method."""

    outcome = Outcome.NOT_SENT
    retryable = True

    def __init__(self, detail: str, *, retry_after: float = 1.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class CredentialsRejectedError(NotSentError, code="credentials_rejected", proxy_status="proxy_configuration_error"):
    """Localpayment refused the username and password."""

    title = "Localpayment refused the sidecar's credentials"


class TokenUnavailableError(NotSentError, code="token_unavailable", proxy_status="proxy_internal_response"):
    """No usable token is held, and none came in time."""

    title = "No access token is available"


class TokenRefusedError(NotSentError, code="token_refused", proxy_status="proxy_internal_error"):
    """Localpayment's authentication layer refused the token, and no newer one is to be had in its place."""

    title = "Localpayment refused the sidecar's access token"


class LockedError(NotSentError, code="locked", proxy_status="proxy_internal_response"):
    """An operator has locked the sidecar: it holds no token and fetches none."""

    title = "The sidecar is locked"


class LedgerUnavailableError(NotSentError, code="ledger_unavailable", proxy_status="proxy_internal_error"):
    """The outcome ledger cannot be written, and PROXY_LEDGER_ON_FAILURE refuses what it cannot write down."""

    title = "The outcome ledger cannot be written"


class UpstreamUnreachableError(NotSentError, code="upstream_unreachable", proxy_status="destination_unavailable"):
    """No connection: name not resolved, refused, unreachable, or too slow."""

    title = "Localpayment cannot be reached"


class UpstreamTlsError(NotSentError, code="upstream_tls", proxy_status="tls_protocol_error"):
    """The TLS handshake failed; nothing was sent over the connection."""

    title = "No trusted TLS connection to Localpayment"


class OverloadedError(NotSentError, code="overloaded", proxy_status="connection_limit_reached"):
    """PROXY_MAX_IN_FLIGHT calls are being relayed already."""

    title = "The sidecar relays as many calls as it may"


class DrainingError(NotSentError, code="draining", proxy_status="proxy_internal_response"):
    """The sidecar is shutting down."""

    title = "The sidecar is shutting down"


class UnknownOutcomeError(RelayError, status=502):
    """At least one byte was sent and no answer came: Localpayment may have carried the call out."""

    outcome = Outcome.UNKNOWN
    retryable = False


class UpstreamTimeoutError(
    UnknownOutcomeError, status=504, code="upstream_timeout", proxy_status="connection_read_timeout"
):
    """Localpayment did not begin its answer in time."""

    title = "Localpayment did not answer in time"


class UpstreamDisconnectedError(
    UnknownOutcomeError, code="upstream_disconnected", proxy_status="connection_terminated"
):
    """The connection ended before the answer began."""

    title = "Localpayment closed the connection without an answer"


class UpstreamMalformedError(UnknownOutcomeError, code="upstream_malformed", proxy_status="http_protocol_error"):
    """What came back is not an HTTP/1.1 answer that can be relayed safely."""

    title = "Localpayment's answer is not valid HTTP"


class InternalError(UnknownOutcomeError, status=500, code="internal_error", proxy_status="proxy_internal_error"):
    """A defect of the sidecar itself; how far the call got is not known."""

    title = "The sidecar failed"
