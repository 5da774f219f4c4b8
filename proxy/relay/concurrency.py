"""Is there room for one more call?

Pure counting. Reads may never take the last quarter: slow reports must not keep a payment waiting.
"""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.errors import DrainingError, OverloadedError

RESERVED_SHARE: Final = 4  # one in so many places is kept for calls with effects, and at least one of two


def draining() -> DrainingError:
    """Return the refusal of a call that comes too late."""
    return DrainingError("The sidecar is shutting down; nothing was sent. Send the call again to its successor.")


class ConcurrencyLimit:
    """Places for calls in flight.

    Attributes:
        limit: places there are.
        in_flight: calls that hold a place.
        empty: set while none does.
    """

    def __init__(self, limit: int) -> None:
        self.in_flight = 0
        self.empty = asyncio.Event()
        self.empty.set()
        self.limit = limit
        self._read_limit = max(limit - max(limit // RESERVED_SHARE, 1), 1)
        self._reads = 0
        self._closed = False

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True

    def enter(self, *, effects: bool) -> None:
        """Take a place at once.

        Raises:
            DrainingError: the gate is closed.
            OverloadedError: no place is free for this kind of call.
        """
        if self._closed:
            raise draining()
        if self.in_flight >= self.limit or (not effects and self._reads >= self._read_limit):
            detail = f"The sidecar relays as many calls at once as PROXY_MAX_IN_FLIGHT ({self.limit}) lets it."
            raise OverloadedError(detail)
        if not self.in_flight:
            self.empty.clear()
        self.in_flight += 1
        self._reads += not effects

    def leave(self, *, effects: bool) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._reads -= not effects
        if not self.in_flight:
            self.empty.set()
