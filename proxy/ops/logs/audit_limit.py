"""Limits the audit lines of callers that are not recognised. Pure: time is an argument.

It must never drop a call that was sent to Localpayment, nor one of a caller that the policy knows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from proxy.policy.rules import UNKNOWN

if TYPE_CHECKING:
    from proxy.relay.record import Record

LINES: Final = 20  # such calls that have a line of their own
WINDOW: Final = 60.0  # seconds in which that many do


class UnknownCallerLimit:
    """Decides which refused calls of unrecognised callers have a line of their own, and counts the others.

    Attributes:
        unwritten: how many had none since the last summary.
    """

    def __init__(self) -> None:
        self.unwritten = 0
        self._began = -math.inf
        self._written = 0

    def has_line(self, record: Record, now: float) -> bool:
        """Whether a call's line is written; counts it otherwise."""
        if record.caller not in {"", UNKNOWN} or record.attempts:
            return True
        if now - self._began >= WINDOW:
            self._began, self._written = now, 0
        if self._written < LINES:
            self._written += 1
            return True
        self.unwritten += 1
        return False

    def is_due(self, now: float) -> bool:
        """Whether a summary of those without a line is due."""
        return self.unwritten > 0 and now - self._began >= WINDOW

    def take_unwritten(self) -> int:
        """Return how many had no line, and start counting again."""
        unwritten, self.unwritten = self.unwritten, 0
        return unwritten
