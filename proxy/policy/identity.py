"""Recognises callers by the socket's peer, a client certificate, or a key in `X-Proxy-Key`.

Pure. A key itself is never held, only its SHA-256. The sender of a key that no caller has is unknown, whatever its user
or certificate.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEY_HEADER: Final = b"x-proxy-key"
# 128 bits in base64url; a shorter key holds less, and could be guessed from its hash.
MIN_KEY_LENGTH: Final = 22
_SAN_KINDS: Final = frozenset(("DNS", "URI"))


@dataclass(frozen=True, slots=True)
class Peer:
    """What a connection says about its other end.

    Attributes:
        uid, gid: of a Unix socket's peer (SO_PEERCRED), None for TCP.
        sans: subject alternative names of its verified certificate, as `identities` writes them.
    """

    uid: int | None = None
    gid: int | None = None
    sans: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Identity:
    """How a caller is known: any one of these is enough.

    Attributes:
        uids, gids: numeric ids of a Unix socket's peer.
        sans: `DNS:name` or `URI:uri`, compared whole.
        keys: SHA-256 digests of keys, all valid at once, so that one can be replaced by the next.
        anyone: whether any caller that matches no other is this one.
    """

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()
    sans: frozenset[str] = frozenset()
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    anyone: bool = False

    def fits(self, peer: Peer) -> bool:
        """Whether a peer is this caller, as far as its connection tells."""
        return self.anyone or peer.uid in self.uids or peer.gid in self.gids or not peer.sans.isdisjoint(self.sans)


def identities(subject_alt_name: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the names of a verified certificate.

    Args:
        subject_alt_name: as `ssl.SSLSocket.getpeercert()` gives it: pairs of kind and value.
    """
    return frozenset(san(f"{kind}:{value}") for kind, value in subject_alt_name if kind in _SAN_KINDS and value)


def san(text: str) -> str:
    """Return a `DNS:` or `URI:` name as it is compared; names of hosts have no case (RFC 4343).

    Raises:
        ValueError: it is none; the text says how to write one.
    """
    kind, _, value = text.partition(":")
    if kind not in _SAN_KINDS or not value:
        message = "a certificate's name carries its kind: write DNS:reports.internal or URI:spiffe://cluster/reports"
        raise ValueError(message)
    return f"DNS:{value.lower()}" if kind == "DNS" else text


def digest(key: bytes) -> bytes | None:
    """Return the SHA-256 of a key, or None if the key is too short to be one."""
    return hashlib.sha256(key).digest() if len(key) >= MIN_KEY_LENGTH else None


def holder(known: Sequence[tuple[bytes, int]], presented: bytes) -> int | None:
    """Return whose key was presented, comparing with every known digest in constant time.

    Args:
        known: digests, each with the position of the caller it belongs to.
        presented: the key as it was sent.
    """
    hashed = digest(presented)
    if hashed is None:
        return None
    found = None
    for other, position in known:
        if hmac.compare_digest(other, hashed):
            found = position
    return found
