"""Decides which header lines may be cached once they are parsed, and keeps a cache bounded.

Pure. Only lines of fields with few values and no secret may be: any other may carry a credential or name a payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

Key = TypeVar("Key", bound="Hashable")
Made = TypeVar("Made")

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
MOST: Final = 512  # lines, or heads: many times what one origin and the clients of one service send


def is_harmless(name: bytes, line: bytes) -> bool:
    """Whether a line may be remembered; the name is its field's, in lower case."""
    return name in HARMLESS and len(line) <= LONGEST


def keep(kept: dict[Key, Made], key: Key, made: Made, *, most: int) -> Made:
    """Remember what was made for a key, and return it; when there are `most` already, all are forgotten first."""
    if len(kept) >= most:
        kept.clear()
    kept[key] = made
    return made
