"""Counts the calls in flight, and says whether there is room for one more.

Pure. Reads may never take the last quarter: slow reports must not keep a payment waiting. No caller may take
the last places of another.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from proxy.errors import DrainingError, OverloadedError

if TYPE_CHECKING:
    from collections.abc import Iterable

RESERVED_SHARE: Final = 4  # one in so many places is kept for calls with effects, and at least one of two
_KEPT: Final = 2  # one in so many places is kept for callers in equal parts, the others are anyone's


def draining() -> DrainingError:
    """Return the refusal of a call that comes too late."""
    return DrainingError("The sidecar is shutting down; nothing was sent. Send the call again to its successor.")


def memory_full() -> OverloadedError:
    """Return the refusal of what needs more memory than is left for callers."""
    return OverloadedError("The sidecar holds as many bytes as PROXY_MEMORY_BUDGET lets it; nothing was sent.")


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
        self._held: defaultdict[str, int] = defaultdict(int)
        self._parts: dict[str, int] = {}  # places that are kept for parties
        self._kept = 0  # of these, the ones that they have not taken

    def close(self) -> None:
        """Admit no further call."""
        self._closed = True

    def divide(self, parties: Iterable[str]) -> None:
        """Keep a part of the places for each of those who share them; one alone may take all."""
        for name in [name for name, held in self._held.items() if not held]:
            del self._held[name]
        names = set(parties)
        part = self.limit // (_KEPT * len(names)) if len(names) > 1 else 0
        self._parts = dict.fromkeys(names, part) if part else {}
        self._kept = sum(max(part - self._held.get(name, 0), 0) for name in names)

    def check(self, party: str = "", *, effects: bool) -> None:
        """Raise what `enter` would raise now."""
        if self._closed:
            raise draining()
        free = self.limit - self.in_flight
        if free <= 0 or (not effects and self._reads >= self._read_limit):
            detail = f"The sidecar relays as many calls at once as PROXY_MAX_IN_FLIGHT ({self.limit}) lets it."
            raise OverloadedError(detail)
        if self._kept >= free and self._held.get(party, 0) >= self._parts.get(party, 0):
            detail = f"The caller has as many calls at once as others leave it of PROXY_MAX_IN_FLIGHT ({self.limit})."
            raise OverloadedError(detail)

    def enter(self, party: str = "", *, effects: bool) -> None:
        """Take a place at once.

        Args:
            party: with whom the places are shared.
            effects: whether the call may take one that is kept for those with effects.

        Raises:
            DrainingError: no further call is admitted.
            OverloadedError: no place is free for this kind of call, or for this party.
        """
        if self._closed or self.in_flight + self._kept >= self.limit or not (effects or self._reads < self._read_limit):
            self.check(party, effects=effects)
        if not effects:
            self._reads += 1
        if not self.in_flight:
            self.empty.clear()
        self.in_flight += 1
        self._held[party] += 1
        if self._parts:
            self._kept -= self._held[party] <= self._parts.get(party, 0)

    def leave(self, party: str = "", *, effects: bool) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._reads -= not effects
        self._held[party] -= 1
        if self._parts:
            self._kept += self._held[party] < self._parts.get(party, 0)
        if not self.in_flight:
            self.empty.set()
