"""Undoes the content coding of a token endpoint's answer (RFC 9110 section 8.4), which was asked for without one.

It never makes more bytes than are asked of it.
"""

from __future__ import annotations

import zlib
from typing import Final

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32  # which of the two it is, the data tell
_COMPRESSED: Final = frozenset(("gzip", "x-gzip", "deflate"))


def decoded(content: bytes, coding: str | None, most: int) -> bytes:
    """Return what was encoded, or its first `most` bytes.

    Raises:
        ValueError: the coding is not known, or the content does not have it or not all of it.
    """
    name = (coding or "identity").strip().lower()
    if name == "identity":
        return content[:most]
    if name not in _COMPRESSED:
        message = "the content coding is not known"
        raise ValueError(message)
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = decoder.decompress(content, most)
    except zlib.error as error:
        message = "the content does not have its coding"
        raise ValueError(message) from error
    if len(plain) < most and not decoder.eof:
        message = "the coded content has no end"
        raise ValueError(message)
    return plain
