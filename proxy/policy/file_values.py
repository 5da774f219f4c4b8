"""Reads single values of a policy file. Each ValueError says what is wrong and how to write it.

Pure. No text here may quote a key or its hash.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from typing import TYPE_CHECKING, Final

from proxy.config.parsing import refuse
from proxy.policy.identity import san
from proxy.policy.rate_limit import Rate
from proxy.policy.rules import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.policy.rules import Duplicates

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}").fullmatch
_MAX_ID: Final = 2**32 - 2  # the last value of uid_t is no user
# What hashing nothing, or an empty line, gives.
_HASHES_OF_NOTHING: Final = frozenset(hashlib.sha256(text).digest() for text in (b"", b"\n"))
_SHOWN: Final = 40  # characters of an unknown name


def one_of(known: frozenset[str], hint: str) -> Callable[[object], str]:
    """Return a parser that accepts only the names given."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            refuse("must be a text in quotes, or a list of them")
        if value not in known:
            refuse(unknown_name(value, known, hint))
        return value

    return parse


def unknown_name(name: str, known: frozenset[str], hint: str) -> str:
    """Return what to say of a name that is not known: the one that may be meant, or else a hint."""
    meant = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"unknown name {name[:_SHOWN]!a}: " + (f"did you mean {meant[0]!r}?" if meant else hint)


def flag(value: object) -> bool:
    """Read true or false."""
    return value if isinstance(value, bool) else refuse("must be true or false, without quotes")


def mode(value: object) -> Mode:
    """Read a mode."""
    return Mode(value) if isinstance(value, str) and value in list(Mode) else refuse('must be "enforce" or "report"')


def duplicates(value: object) -> Duplicates:
    """Read what becomes of repeats."""
    if value == "report":
        return "report"
    return "refuse" if value == "refuse" else refuse('must be "report" or "refuse"')


def numeric_id(value: object) -> int:
    """Read a user or group id."""
    if type(value) is not int or not 0 <= value <= _MAX_ID:
        refuse("must be a numeric id, as `id -u NAME` or `id -g NAME` prints it, or a list of them")
    return value


def certificate_name(value: object) -> str:
    """Read a subject alternative name."""
    return san(value if isinstance(value, str) else "")


def key_digest(value: object) -> bytes:
    """Read the SHA-256 of a key."""
    if not isinstance(value, str) or not _SHA256(value) or len(set(value)) == 1:
        refuse('must be the key\'s SHA-256 in 64 hex digits, never the key itself: printf %s "$key" | sha256sum')
    digest = bytes.fromhex(value)
    if digest in _HASHES_OF_NOTHING:
        refuse("is the hash of nothing: the key was empty when it was hashed")
    return digest


def burst(value: object) -> int:
    """Read how many calls may come at once."""
    return value if type(value) is int and value >= 1 else refuse("must be a whole number of calls, 1 or more")


def rate(value: object) -> Rate:
    """Read how many calls may come in a time."""
    return Rate.parse(value if isinstance(value, str) else "")
