"""The errors of a call; each states its status, public code and outcome, and nothing else does.

503 from us means: provably not processed. 502 and 504 mean: sent, outcome unknown. Nothing here may blur that line.
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
    TokenRefusedError,
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
    "TokenRefusedError",
    "TokenUnavailableError",
    "UnknownOutcomeError",
    "UpstreamDisconnectedError",
    "UpstreamMalformedError",
    "UpstreamTimeoutError",
    "UpstreamTlsError",
    "UpstreamUnreachableError",
]
