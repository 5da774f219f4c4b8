"""Reads single values of a policy file. Each ValueError says what is wrong and how to write it.

Pure. No text here may quote a key or its hash.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from typing import TYPE_CHECKING, Final

from proxy.policy.identity import san
from proxy.policy.rate_limit import Rate
from proxy.policy.rules import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}").fullmatch
_MAX_ID: Final = 2**32 - 2  # the last value of uid_t is no user
# What hashing nothing, or an empty line, gives.
_HASHES_OF_NOTHING: Final = frozenset(hashlib.sha256(text).digest() for text in (b"", b"\n"))
_SHOWN: Final = 40  # characters of an unknown name


def one_of(known: frozenset[str], hint: str) -> Callable[[object], str]:
    """Return a parser that accepts only the names given."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            message = "must be a text in quotes, or a list of them"
            raise ValueError(message)  # noqa: TRY004 - callers collect ValueErrors only
        if value not in known:
            raise ValueError(unknown_name(value, known, hint))
        return value

    return parse


def unknown_name(name: str, known: frozenset[str], hint: str) -> str:
    """Return what to say of a name that is not known: the one that may be meant, or else a hint."""
    meant = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"unknown name {name[:_SHOWN]!a}: " + (f"did you mean {meant[0]!r}?" if meant else hint)


def flag(value: object) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    message = "must be true or false, without quotes"
    raise ValueError(message)


def mode(value: object) -> Mode:
    """Read a mode."""
    if isinstance(value, str) and value in list(Mode):
        return Mode(value)
    message = 'must be "enforce" or "report"'
    raise ValueError(message)


def numeric_id(value: object) -> int:
    """Read a user or group id."""
    if type(value) is int and 0 <= value <= _MAX_ID:
        return value
    message = "must be a numeric id, as `id -u NAME` or `id -g NAME` prints it, or a list of them"
    raise ValueError(message)


def certificate_name(value: object) -> str:
    """Read a subject alternative name."""
    return san(value if isinstance(value, str) else "")


def key_digest(value: object) -> bytes:
    """Read the SHA-256 of a key."""
    if not isinstance(value, str) or not _SHA256(value) or len(set(value)) == 1:
        message = 'must be the key\'s SHA-256 in 64 hex digits, never the key itself: printf %s "$key" | sha256sum'
        raise ValueError(message)
    digest = bytes.fromhex(value)
    if digest in _HASHES_OF_NOTHING:
        message = "is the hash of nothing: the key was empty when it was hashed"
        raise ValueError(message)
    return digest


def burst(value: object) -> int:
    """Read how many calls may come at once."""
    if type(value) is int and value >= 1:
        return value
    message = "must be a whole number of calls, 1 or more"
    raise ValueError(message)


def rate(value: object) -> Rate:
    """Read how many calls may come in a time."""
    return Rate.parse(value if isinstance(value, str) else "")
