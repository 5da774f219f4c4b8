"""Limits a caller's rate of calls, as a token bucket.

Pure: the time is an argument. A refused call costs nothing, so that a caller that hammers is not shut out for longer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_WRITTEN: Final = re.compile(r"([0-9]{1,6})/(s|min|h)").fullmatch
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Rate:
    """How many calls: `per_second` in the long run, `burst` at once."""

    per_second: float
    burst: int

    @classmethod
    def parse(cls, text: str, burst: int | None = None) -> Rate:
        """Read `10/s`, `600/min` or `100/h`; without a burst, a second's worth may come at once, at least one call.

        Raises:
            ValueError: it is none; the text says how to write one.
        """
        found = _WRITTEN(text)
        if found is None or int(found[1]) == 0:
            message = "a rate is a number of calls in a time: write 10/s, 600/min or 100/h"
            raise ValueError(message)
        per_second = int(found[1]) / _SECONDS[found[2]]
        return cls(per_second, max(1, int(per_second)) if burst is None else burst)


class Bucket:
    """How many calls a caller has left; full at first."""

    __slots__ = ("_at", "_tokens", "rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> float:
        """Count a call.

        Args:
            now: seconds on a clock that only moves forward.

        Returns:
            0.0 if the call may pass, else the seconds until one could.
        """
        rate = self.rate
        passed = max(0.0, now - self._at)
        self._at = max(now, self._at)
        self._tokens = min(float(rate.burst), self._tokens + passed * rate.per_second)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / rate.per_second
