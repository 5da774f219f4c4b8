"""Which answers of ours say that nobody knows whether Localpayment has carried a call out? Never a 503."""

from __future__ import annotations

from proxy.errors.base import Fault, Outcome, RelayError


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
