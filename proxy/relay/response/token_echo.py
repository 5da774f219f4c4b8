"""Finds the very token that a call carried in the answer to it.

Pure. A debug page or a header that mirrors the request gives callers what they must not have. It must never change the
length of anything, nor keep back a byte that cannot be part of the token.

A body that is compressed, or that writes the token in another way, is not seen through.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.http1.framing import Head

    Field = tuple[bytes, bytes]

LOOKED_AT: Final = 64 * 1024  # bytes of a body; mirrors are short, and downloads must not be searched to their end
_SHOWN: Final = b"[redacted]"


class Echo:
    """Looks for a token in one answer.

    Args:
        token: as it went out, without its scheme; None when the call carried none of ours.
        masked: whether it is replaced where it is found.

    Attributes:
        found: where it was found first: `header`, `body`, or nothing.
    """

    __slots__ = ("_held", "_left", "_masked", "_token", "found")

    def __init__(self, token: bytes | None, *, masked: bool) -> None:
        self._token = token or b""
        self._masked = masked
        self._left = LOOKED_AT + len(token) if token else 0
        self._held = b""
        self.found = ""

    def headers(self, fields: Sequence[Field]) -> Sequence[Field]:
        """Look at an answer's fields; return what goes on."""
        token = self._token
        if not token or not any(token in value for _, value in fields):
            return fields
        self.found = "header"
        return [(name, value.replace(token, mask(token))) for name, value in fields] if self._masked else fields

    def head(self, head: Head) -> Head:
        """Look at an answer's head; return what goes on. One that holds the token is not to be remembered."""
        fields = self.headers(head.headers)
        return replace(head, headers=fields, comes_again=False) if self.found else head

    def piece(self, piece: bytes) -> bytes:
        """Look at the next piece of the body, across the border to the last; return what goes on now, perhaps nothing.

        Without masking that is the piece itself. With it, an end that may be the beginning of the token waits.
        """
        if self._left <= 0:
            return piece
        self._left -= len(piece)
        token, joined = self._token, self._held + piece
        if token in joined:
            self.found = self.found or "body"
            if self._masked:
                joined = joined.replace(token, mask(token))
        if not self._masked:
            self._held = joined[1 - len(token) :]
            return piece
        end = len(joined) - (_begun(joined, token) if self._left > 0 else 0)
        self._held = joined[end:]
        return joined[:end]

    def rest(self) -> bytes:
        """Return what still waits once the body has ended."""
        rest, self._held = self._held if self._masked else b"", b""
        return rest


def mask(token: bytes) -> bytes:
    """Return what stands in a token's place: as long as it is."""
    return _SHOWN[: len(token)].ljust(len(token), b"*")


def _begun(data: bytes, token: bytes) -> int:
    """Return how many bytes at the end of `data` are the beginning of the token, and not all of it."""
    at = data.find(token[:1], max(len(data) - len(token) + 1, 0))
    while at >= 0:
        if token.startswith(data[at:]):
            return len(data) - at
        at = data.find(token[:1], at + 1)
    return 0
