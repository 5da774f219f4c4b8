"""Which answers of ours say that we refused a call, and why? Nothing of it was sent, or its own end was broken."""

from __future__ import annotations

from proxy.errors.base import Fault, Outcome, RelayError


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
