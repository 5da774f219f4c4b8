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

    __hash__ = str.__hash__  # Enum's is written in Python, and each call is looked up by its outcome


# What may have had an effect that the caller did not learn of.
UNSETTLED: Final = frozenset((Outcome.UNKNOWN, Outcome.ABORTED, Outcome.ORPHANED))


class Fault(StrEnum):
    """Who has to act."""

    CALLER = "caller"
    SIDECAR = "sidecar"
    CREDENTIALS = "credentials"
    UPSTREAM = "upstream"


class RelayError(Exception):
    """A call that we answer ourselves.

    Attributes:
        status: HTTP status of our answer.
        code: public, stable identifier; the last part of the problem's type URI.
        title: the same in words; constant per class (RFC 9457 section 3.1.3).
        outcome: what is known of the call's fate; a refusal in the middle of a streamed body turns it to UNKNOWN.
        retryable: whether the same call may be sent again without any risk.
        fault: who has to act.
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
    fault: ClassVar[Fault]
    proxy_status: str

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.more: dict[str, object] = {}
        self.retry_after = retry_after


class RefusedError(RelayError):
    """We refused the call; nothing of it was sent."""

    outcome = Outcome.REJECTED
    retryable = False
    fault = Fault.CALLER
    proxy_status = "http_request_denied"


class OperationForbiddenError(RefusedError):
    """The policy, or the token endpoints' own rule, forbids the operation."""

    status = 403
    code = "operation_forbidden"
    title = "This operation may not be called through the sidecar"


class HostForbiddenError(RefusedError):
    """The Host field names no accepted host."""

    status = 403
    code = "host_forbidden"
    title = "This Host is not accepted"


class BrowserForbiddenError(RefusedError):
    """The request comes from a browser page."""

    status = 403
    code = "browser_forbidden"
    title = "Requests from browser pages are not accepted"


class HeaderRequiredError(RefusedError):
    """The header field of PROXY_REQUIRED_HEADER is missing, or has another value."""

    status = 412
    code = "header_required"
    title = "A required header field is missing"


class MethodForbiddenError(RefusedError):
    """CONNECT and TRACE are never relayed."""

    status = 405
    code = "method_forbidden"
    title = "This method is not relayed"


class BadTargetError(RefusedError):
    """The request target is not origin-form, or can be read in two ways."""

    status = 400
    code = "bad_target"
    title = "The request target is not acceptable"
    proxy_status = "http_request_error"


class BadRequestError(RefusedError):
    """The request is not valid HTTP."""

    status = 400
    code = "bad_request"
    title = "The request is not valid HTTP"
    proxy_status = "http_request_error"


class BodyTooLargeError(RefusedError):
    """The body is larger than PROXY_MAX_REQUEST_BODY."""

    status = 413
    code = "body_too_large"
    title = "The request body is too large"
    proxy_status = "http_request_error"


class HeaderTooLargeError(RefusedError):
    """The request head is larger than the sidecar accepts."""

    status = 431
    code = "header_too_large"
    title = "The request head is too large"
    proxy_status = "http_request_error"


class TargetTooLongError(RefusedError):
    """The request target is longer than the sidecar accepts."""

    status = 414
    code = "target_too_long"
    title = "The request target is too long"
    proxy_status = "http_request_error"


class ExpectationFailedError(RefusedError):
    """The caller expects something other than 100-continue."""

    status = 417
    code = "expectation_failed"
    title = "The request's expectation cannot be met"
    proxy_status = "http_request_error"


class SlowRequestError(RefusedError):
    """The request did not arrive in time."""

    status = 408
    code = "slow_request"
    title = "The request did not arrive in time"
    proxy_status = "http_request_error"


class DuplicateCallError(RefusedError):
    """The call repeats an earlier one that may have been carried out, and PROXY_DUPLICATES refuses that."""

    status = 409
    code = "duplicate_call"
    title = "The same call was sent before"


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
    proxy_status = "proxy_internal_response"


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


class LedgerUnavailableError(NotSentError):
    """The outcome ledger cannot be written, and PROXY_LEDGER_ON_FAILURE refuses what it cannot write down."""

    code = "ledger_unavailable"
    title = "The outcome ledger cannot be written"
    proxy_status = "proxy_internal_error"


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


class UnknownOutcomeError(RelayError):
    """At least one byte was sent and no answer came: Localpayment may have carried the call out."""

    status = 502
    outcome = Outcome.UNKNOWN
    retryable = False
    fault = Fault.UPSTREAM


class UpstreamTimeoutError(UnknownOutcomeError):
    """Localpayment did not begin its answer in time."""

    status = 504
    code = "upstream_timeout"
    title = "Localpayment did not answer in time"
    proxy_status = "connection_read_timeout"


class UpstreamDisconnectedError(UnknownOutcomeError):
    """The connection ended before the answer began."""

    code = "upstream_disconnected"
    title = "Localpayment closed the connection without an answer"
    proxy_status = "connection_terminated"


class UpstreamMalformedError(UnknownOutcomeError):
    """What came back is not an HTTP/1.1 answer that can be relayed safely."""

    code = "upstream_malformed"
    title = "Localpayment's answer is not valid HTTP"
    proxy_status = "http_protocol_error"


class InternalError(UnknownOutcomeError):
    """A defect of the sidecar itself; how far the call got is not known."""

    status = 500
    code = "internal_error"
    title = "The sidecar failed"
    fault = Fault.SIDECAR
    proxy_status = "proxy_internal_error"
