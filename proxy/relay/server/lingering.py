"""Bounds the connections that are kept open only so that their callers read the last answer.

Closing while bytes come in would reset the connection, and the reset could overtake the answer (RFC 9112 section 9.6).
No connection may lose its first moments for another's sake: a caller that reads has read by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds that what a caller still sends is thrown away after its answer, so that it gets to read the answer.
LINGER: Final = 2.0
GRACE: Final = 0.5  # seconds of them that nothing cuts short
MOST_LINGERING: Final = 64  # connections that linger for longer than that, and may be so many beyond all others


class Lingering(Protocol):
    """A connection whose last answer was given."""

    def cut(self) -> None:
        """End it at once."""
        ...


class LingeringCloses:
    """The connections that linger, in the order of their last answers.

    Args:
        now: a clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since: dict[Lingering, float] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._since)

    def add(self, connection: Lingering) -> None:
        """Keep a connection, and for it cut the oldest ones if they are too many by now."""
        self._since[connection] = self._now()
        while len(self._since) > MOST_LINGERING and self.cut_oldest():
            pass

    def discard(self, connection: Lingering) -> None:
        """Note that a connection has ended."""
        self._since.pop(connection, None)

    def cut_oldest(self) -> bool:
        """Cut the one that lingers for longest; False, and nothing is done, if not even that has had its moments."""
        oldest = next(iter(self._since), None)
        if oldest is None or self._now() - self._since[oldest] < GRACE:
            return False
        del self._since[oldest]
        oldest.cut()
        return True
