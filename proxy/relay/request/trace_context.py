"""Names what a call is found again by: its request id and its trace.

Pure: time and chance are arguments. Nothing a caller sends becomes a name unless it is short and visible ASCII.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    Told = Mapping[bytes, tuple[bytes, ...]]

_VISIBLE: Final = re.compile(rb"[!-~]{1,128}").fullmatch
# W3C Trace Context section 3.2; version ff is forbidden, later versions may append fields.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
).fullmatch
RANDOM_BITS: Final = 74
# RFC 9562 section 5.7: 48 bits of time, version 7, 12 random bits; variant 0b10, 62 random bits.
_TIME: Final = (1 << 48) - 1
_RAND_A: Final = (1 << 12) - 1
_RAND_B: Final = (1 << 62) - 1
_UNDER_TIME: Final = 1 << 64 | 0x7 << 12  # the first bit keeps zeros at the front of the time
_VARIANT: Final = 0b10 << 62


class CallerSpan(NamedTuple):
    """What a caller says of its own span: 32 and 16 hex digits, and flags of eight bits."""

    trace_id: str
    span_id: str
    flags: int


class OwnId(str):
    """A request id that we made: no caller had a say in it, so that there is nothing in it to mask or to escape."""

    __slots__ = ()


def uuid7(unix_ms: int, random_bits: int) -> OwnId:
    """Return a UUIDv7 (RFC 9562 section 5.7).

    Args:
        unix_ms: milliseconds since the Unix epoch; its lowest 48 bits count.
        random_bits: a number of RANDOM_BITS random bits; its lowest 74 bits count.
    """
    head = hex(_UNDER_TIME | (unix_ms & _TIME) << 16 | random_bits >> 62 & _RAND_A)
    tail = hex(_VARIANT | random_bits & _RAND_B)
    return OwnId(f"{head[3:11]}-{head[11:15]}-{head[15:]}-{tail[2:6]}-{tail[6:]}")


def is_request_id(value: bytes) -> bool:
    """Whether a value may serve as a request id: 1 to 128 bytes of visible ASCII."""
    return _VISIBLE(value) is not None


def trace_id(told: Told) -> str | None:
    """Return the trace id of the one valid W3C traceparent field, 32 hex digits, or None."""
    span = caller_span(told)
    return None if span is None else span.trace_id


def caller_span(told: Told) -> CallerSpan | None:
    """Return what the one valid W3C traceparent field says, or None."""
    values = told.get(b"traceparent", ())
    found = _TRACEPARENT(values[0]) if len(values) == 1 else None
    if found is None or (found["more"] is not None and found["version"] == b"00"):
        return None
    return CallerSpan(found["trace"].decode("ascii"), found["span"].decode("ascii"), int(found["flags"], 16))
