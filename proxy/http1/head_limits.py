"""Holds the bounds of an answer's head, the same for every server that the sidecar asks.

A head that the relay passes on must never be too large where a token or a secret is fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HEAD: Final = 64 * 1024  # bytes
MAX_FIELDS: Final = 256  # what bounds memory are the bytes; this bounds the work on them


def is_too_large(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether fields together have more bytes than a head may, each counted with its colon, space and line end."""
    return sum(len(name) + len(value) + len(": \r\n") for name, value in fields) > MAX_HEAD
