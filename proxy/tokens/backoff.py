"""Decides how long a fetch may take, and how long the pause after a failed one is.

Pure: time and chance are arguments. Neither may ever be without a bound.
"""

from __future__ import annotations

import math
from typing import Final

RETRY_BASE: Final = 0.5  # seconds; this and the next two: DESIGN section 5
RETRY_CAP_ALIVE: Final = 15.0
RETRY_CAP_DEAD: Final = 4.0
RETRY_AFTER_CAP: Final = 300.0  # seconds; a longer Retry-After is read as this, so that every wait is bounded
LARGEST_EXPONENT: Final = 10  # of doubling; far past every cap, far below an overflow
REFRESH_FLOOR: Final = 1.0  # seconds from one token to the refresh that is due by its age, however short that seems
MIN_TIMEOUT: Final = 0.5  # seconds; a fetch is given no less, however short-lived the tokens are


def fetch_timeout(left: float | None, most: float) -> float:
    """Leave time for another try while the token held lives, `left` seconds, as far as the setting `most` allows."""
    return most if left is None else min(most, max(left / 3, MIN_TIMEOUT))


class Backoff:
    """The pause after failures that say nothing about the credential.

    Attributes:
        failures: since the last success.
        until: no fetch before.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.until = -math.inf

    def failed(self, now: float, chance: float, left: float | None, retry_after: float) -> None:
        """Begin a pause with full jitter (Brooker, "Exponential Backoff And Jitter", 2015).

        Args:
            now: the clock.
            chance: a number in [0, 1).
            left: seconds that the token held can still be injected, or None without one.
            retry_after: seconds that the server asked for, 0 if it did not.
        """
        # Without RETRY_BASE as its least the cap would shrink with what is left, and the pauses to nothing.
        cap = RETRY_CAP_DEAD if left is None else max(min(RETRY_CAP_ALIVE, left / 4), RETRY_BASE)
        delay = chance * min(cap, RETRY_BASE * 2 ** min(self.failures, LARGEST_EXPONENT))
        self.failures += 1
        # The sum, not the larger: a crowd that was told one time must not come back as one.
        self.until = now + min(retry_after, RETRY_AFTER_CAP) + delay

    def ended(self) -> None:
        """Note a success."""
        self.failures = 0
        self.until = -math.inf
