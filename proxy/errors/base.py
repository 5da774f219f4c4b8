"""What does every answer of ours state? Its status, its code, its outcome and whose fault it is."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Outcome(StrEnum):
    """What is known of a call's fate at Localpayment."""

    ANSWERED = "answered"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    ABORTED = "aborted"
    ORPHANED = "orphaned"

    __hash__ = str.__hash__  # Enum's is written in Python, and each call is looked up by its outcome


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
        proxy_status: error type of the Proxy-Status field (RFC 9209 section 2.3).
        detail: what happened this time and what to do; holds nothing that a caller or Localpayment sent.
        retry_after: seconds for the Retry-After field, or None.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    outcome: Outcome
    retryable: ClassVar[bool]
    fault: ClassVar[Fault]
    proxy_status: ClassVar[str]

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
