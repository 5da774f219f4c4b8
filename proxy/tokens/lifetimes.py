"""Decides how long a token lives, when clocks may disagree. Pure.

It must never give a token a longer life than a clock that can be believed says, nor none to a token that one of them
calls good: an origin's `Date` may be made by another machine than its tokens.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

MIN_LIFETIME: Final = 1.0  # seconds; DESIGN section 5, as the next
MAX_LIFETIME: Final = 86400.0
DOCUMENTED_LIFETIME: Final = 300.0  # seconds; what Localpayment's documentation says of an access token
DATE_UNCERTAINTY: Final = 1.0  # seconds; the Date field counts whole seconds (RFC 9110 section 5.6.7)
LOCAL_UNCERTAINTY: Final = 3.0  # seconds; our own wall clock stands in for the server's
PLAUSIBLE: Final = 5.0  # seconds; a token that is given out for less could not be used safely
DISAGREEMENT: Final = 30.0  # seconds between Date and our wall clock from which one of the two must be wrong
WORTH_HAVING: Final = 60.0  # seconds; a life by our wall clock that costs few refreshes should that clock be wrong


class Clocks(NamedTuple):
    """What an answer's time may be measured by, in seconds since the epoch.

    Attributes:
        wall: our wall clock when the answer came.
        date: the answer's Date field, or None.
    """

    wall: float
    date: float | None

    @property
    def skew(self) -> float | None:
        """The server's clock minus our wall clock in seconds, or None without a Date field."""
        return None if self.date is None else self.date - self.wall

    @property
    def disagree(self) -> bool:
        """Whether Date and our wall clock cannot both be right."""
        return self.skew is not None and abs(self.skew) > DISAGREEMENT


class Lifetime(NamedTuple):
    """Seconds that a token lives, not positive when it is dead, and by how many that may be too long."""

    seconds: float
    uncertainty: float


def lifetime(exp: float, iat: float | None, clocks: Clocks) -> Lifetime:
    """Measure a token's life, not clamped.

    Args:
        exp: the token's expiry.
        iat: when it says that it was issued. It may have been copied from an older token, so that it bounds the life
            from above and says nothing else.
        clocks: of the answer that brought it.

    Date is believed as long as it gives the token a life. Where it gives none and our own clock gives one, the two
    disagree and ours is taken; where they disagree and no `iat` bounds the life, the shorter of the two.
    """
    most = _most(exp, iat)
    by_wall = exp - clocks.wall
    if clocks.date is None:
        if by_wall < PLAUSIBLE and math.isfinite(most):  # our clock is the only one, and wrong
            return Lifetime(min(most, DOCUMENTED_LIFETIME), LOCAL_UNCERTAINTY)
        return Lifetime(min(by_wall, most), LOCAL_UNCERTAINTY)
    by_date = exp - clocks.date
    if by_date < PLAUSIBLE <= by_wall and clocks.disagree:
        return Lifetime(min(by_wall, most), LOCAL_UNCERTAINTY)
    if clocks.disagree and not math.isfinite(most) and WORTH_HAVING <= by_wall < by_date:
        return Lifetime(by_wall, LOCAL_UNCERTAINTY)
    return Lifetime(min(by_date, most), DATE_UNCERTAINTY)


def clamped(seconds: float) -> float:
    """Return a life of at least a second and at most a day."""
    return min(max(seconds, MIN_LIFETIME), MAX_LIFETIME)


def _most(exp: float, iat: float | None) -> float:
    """Return the life that a token's own claims allow it; no bound when `iat` is absent, or cannot be right."""
    return exp - iat if iat is not None and exp - iat >= PLAUSIBLE else math.inf
