"""Decides where an answer ends, from its head.

Pure. What can be read in two ways is refused, never guessed (RFC 9112 section 6.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

is_token: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch  # RFC 9110 section 5.6.2
field_value: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch  # RFC 9110 section 5.5
_LENGTH: Final = re.compile(rb"[0-9]{1,18}").fullmatch  # no sign, no list; fits 63 bits
FRAMING_FIELDS: Final = frozenset((b"content-length", b"transfer-encoding", b"connection"))  # in lower case
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304


class MalformedAnswerError(Exception):
    """An answer that is not HTTP/1.1 with one reading; the text holds nothing from the wire."""


class Ending(Enum):
    """What ends an answer."""

    HEAD = auto()
    LENGTH = auto()
    CHUNKS = auto()
    EOF = auto()


@dataclass(frozen=True, slots=True)
class Framing:
    """Where an answer ends, its declared length if any, and whether another may follow on the connection."""

    ending: Ending
    length: int | None
    keeps_alive: bool

    @property
    def has_body(self) -> bool:
        """Whether bytes of a body may follow the head."""
        return self.ending is not Ending.HEAD


@dataclass(slots=True)
class Head:
    """A final answer's head; `comes_again` if it holds no secret, and is the same object whenever it comes again."""

    status: int
    reason: bytes
    headers: Sequence[tuple[bytes, bytes]]
    framing: Framing
    comes_again: bool = field(default=False, compare=False)

    __hash__ = object.__hash__


def answer_framing(method: bytes, status: int, version: str, headers: Iterable[tuple[bytes, bytes]]) -> Framing:
    """Decide where the answer to a request of this method ends; raises MalformedAnswerError."""
    judged = [one for one in headers if one[0].lower() in FRAMING_FIELDS]
    return framing_by(method, status, version, tuple(judged))


def framing_by(method: bytes, status: int, version: str, judged: tuple[tuple[bytes, bytes], ...]) -> Framing:
    """Do what `answer_framing` does, given those of the FRAMING_FIELDS alone that there are."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    options: set[bytes] = set()
    for name, value in judged:
        match name.lower():
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value)
            case _:
                options.update(option.strip(b" \t").lower() for option in value.split(b","))
    length = _declared_length(lengths, codings, version)
    persistent = version == "1.1" and b"close" not in options
    if method == b"HEAD" or status == _NOT_MODIFIED:
        return Framing(Ending.HEAD, length, persistent)
    if status == _NO_CONTENT:
        # A 204 has no body whatever it declares; one that declares a body may be followed by it, so nothing else is.
        return Framing(Ending.HEAD, length, persistent and not length and not codings)
    if codings:
        return Framing(Ending.CHUNKS, None, persistent)
    if length is None:
        return Framing(Ending.EOF, None, keeps_alive=False)
    return Framing(Ending.LENGTH if length else Ending.HEAD, length, persistent)


def _declared_length(lengths: list[bytes], codings: list[bytes], version: str) -> int | None:
    if codings and (lengths or version != "1.1" or [coding.lower() for coding in codings] != [b"chunked"]):
        message = "its Transfer-Encoding is not exactly chunked, or stands beside a Content-Length, or in HTTP/1.0"
        raise MalformedAnswerError(message)
    if len(lengths) > 1 or not all(_LENGTH(value) for value in lengths):
        message = "its Content-Length is not one plain number"
        raise MalformedAnswerError(message)
    return int(lengths[0]) if lengths else None
