"""What was read out of a header line that comes again and again? Remembered, so that it need not be read anew.

Pure. Only lines of fields that hold no secret and few values may be remembered: whatever is not in HARMLESS may carry
a credential or name a payment.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, TypeVar

Line = TypeVar("Line", bound=Hashable)
Meaning = TypeVar("Meaning")

# Names in lower case.
HARMLESS: Final = frozenset(
    (
        # Of requests.
        b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"content-type", b"content-length",
        b"connection", b"cache-control", b"pragma", b"x-version", b"x-capture",
        # Of answers.
        b"date", b"server", b"allow", b"vary", b"strict-transport-security", b"x-content-type-options",
        b"x-frame-options", b"x-xss-protection", b"referrer-policy", b"cross-origin-opener-policy",
        b"cross-origin-resource-policy", b"content-language", b"content-encoding", b"keep-alive", b"age", b"expires",
        b"via", b"x-powered-by", b"permissions-policy",
    )
)  # fmt: skip
LONGEST: Final = 256  # bytes of a line that is remembered
MOST: Final = 512  # lines: many times what one origin and the clients of one service send


def remember(known: dict[Line, Meaning], line: Line, meaning: Meaning, *, name: bytes, size: int) -> Meaning:
    """Return the meaning of a line, after noting it in `known` if that is allowed.

    Args:
        known: what is remembered; forgotten all at once when it is full.
        line: as it came.
        meaning: what was read out of it.
        name: of its field, in lower case.
        size: of the line, in bytes.
    """
    if name in HARMLESS and size <= LONGEST:
        if len(known) >= MOST:
            known.clear()
        known[line] = meaning
    return meaning
