"""What may go wrong with a call, and what does the caller learn from it?

Every error states its status, public code and outcome here and nowhere else.
503 from us means: provably not sent. 502 and 504 mean: sent, outcome unknown. Nothing here may blur that line.
"""

from __future__ import annotations

from proxy.errors.base import Fault, Outcome, RelayError
from proxy.errors.refused import (
    BadRequestError,
    BadTargetError,
    BodyTooLargeError,
    BrowserForbiddenError,
    ExpectationFailedError,
    HeaderRequiredError,
    HeaderTooLargeError,
    HostForbiddenError,
    MethodForbiddenError,
    OperationForbiddenError,
    RefusedError,
    SlowRequestError,
    TargetTooLongError,
)
from proxy.errors.unsent import (
    CredentialsRejectedError,
    DrainingError,
    LockedError,
    NotSentError,
    OverloadedError,
    TokenUnavailableError,
    UpstreamTlsError,
    UpstreamUnreachableError,
)
from proxy.errors.unsettled import (
    InternalError,
    UnknownOutcomeError,
    UpstreamDisconnectedError,
    UpstreamMalformedError,
    UpstreamTimeoutError,
)

__all__ = [
    "BadRequestError",
    "BadTargetError",
    "BodyTooLargeError",
    "BrowserForbiddenError",
    "CredentialsRejectedError",
    "DrainingError",
    "ExpectationFailedError",
    "Fault",
    "HeaderRequiredError",
    "HeaderTooLargeError",
    "HostForbiddenError",
    "InternalError",
    "LockedError",
    "MethodForbiddenError",
    "NotSentError",
    "OperationForbiddenError",
    "Outcome",
    "OverloadedError",
    "RefusedError",
    "RelayError",
    "SlowRequestError",
    "TargetTooLongError",
    "TokenUnavailableError",
    "UnknownOutcomeError",
    "UpstreamDisconnectedError",
    "UpstreamMalformedError",
    "UpstreamTimeoutError",
    "UpstreamTlsError",
    "UpstreamUnreachableError",
]
