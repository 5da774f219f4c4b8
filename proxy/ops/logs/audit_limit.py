"""Limits the audit lines of callers that are not recognised. Pure: time is an argument.

It must never drop a call that was sent to Localpayment, nor one of a caller that the policy knows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from proxy.policy.rules import UNKNOWN

if TYPE_CHECKING:
    from proxy.relay.record import Record

TOLD: Final = 20  # such calls that have a line of their own
WINDOW: Final = 60.0  # seconds in which that many do


class UnknownCallerLimit:
    """Says which refused calls of unrecognised callers have a line of their own, and counts the others.

    Attributes:
        untold: how many had none, since the last time that they were told of.
    """

    def __init__(self) -> None:
        self.untold = 0
        self._began = -math.inf
        self._told = 0

    def is_told(self, record: Record, now: float) -> bool:
        """Whether a call's line is written; counts it otherwise."""
        if record.caller not in {"", UNKNOWN} or record.attempts:
            return True
        if now - self._began >= WINDOW:
            self._began, self._told = now, 0
        if self._told < TOLD:
            self._told += 1
            return True
        self.untold += 1
        return False

    def is_due(self, now: float) -> bool:
        """Whether it is time to tell of those that had no line."""
        return self.untold > 0 and now - self._began >= WINDOW

    def tell(self) -> int:
        """Return how many had none, and begin to count anew."""
        untold, self.untold = self.untold, 0
        return untold
