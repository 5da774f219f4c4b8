"""Names what a call is found again by: its request id, its trace, and the spans that it consists of.

Pure: time and chance are arguments. Nothing a caller sends becomes a name unless it is short and visible ASCII. A call
that its caller's traceparent does not sample has no spans, and crosses as it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
# W3C Trace Context section 3.2.2.5, and of its level 2 the flag that the trace id is random.
SAMPLED: Final = 0b01
_RANDOM: Final = 0b10
_TRACE_BITS: Final = 128
_SPAN_BITS: Final = 64
_PARENT: Final = frozenset((b"traceparent",))
_PARENT_AND_STATE: Final = _PARENT | {b"tracestate"}


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
    found = _caller_span(told)
    return None if found is None else found["trace"].decode("ascii")


def caller_span(told: Told) -> CallerSpan | None:
    """Return what the one valid W3C traceparent field says, or None."""
    found = _caller_span(told)
    if found is None:
        return None
    return CallerSpan(found["trace"].decode("ascii"), found["span"].decode("ascii"), int(found["flags"], 16))


def _caller_span(told: Told) -> re.Match[bytes] | None:
    values = told.get(b"traceparent", ())
    found = _TRACEPARENT(values[0]) if len(values) == 1 else None
    if found is not None and found["more"] is not None and found["version"] == b"00":
        return None
    return found


@dataclass(slots=True)
class Attempt:
    """One attempt to send the call: a span of its own.

    Attributes:
        span_id: 16 hex digits.
        started: reading of the clock.
        ended: the same; None when its end was not waited for.
    """

    span_id: str
    started: float
    ended: float | None = None


@dataclass(slots=True)
class Lineage:
    """A call's place in a trace.

    Attributes:
        trace_id: 32 hex digits; the caller's if it sent a valid traceparent.
        parent_id: the caller's span, 16 hex digits; None when the trace begins here.
        span_id: of the call as the sidecar serves it.
        flags: of the trace.
        attempts: the call as the sidecar sends it, oldest first.
        bits: gives a number of so many random bits.
        now: gives the clock's reading.
    """

    trace_id: str
    parent_id: str | None
    span_id: str
    flags: int
    bits: Callable[[int], int] = field(repr=False)
    now: Callable[[], float] = field(repr=False)
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def replaced(self) -> frozenset[bytes]:
        """Fields of the caller's in whose place `outgoing` goes."""
        # A trace that begins here has no state yet (section 4.3: what could not be read is not passed on).
        return _PARENT if self.parent_id is not None else _PARENT_AND_STATE

    def outgoing(self) -> bytes:
        """Begin an attempt: return the value of its own traceparent."""
        attempt = Attempt(_hex(self.bits, _SPAN_BITS), self.now())
        self.attempts.append(attempt)
        return f"00-{self.trace_id}-{attempt.span_id}-{self.flags:02x}".encode("ascii")

    def over(self) -> None:
        """Note that the attempt in progress has ended."""
        if self.attempts:
            self.attempts[-1].ended = self.now()


def lineage(told: Told, bits: Callable[[int], int], now: Callable[[], float]) -> Lineage | None:
    """Return a call's place in its caller's trace, or at the head of a new one; None if the caller wants none told.

    Args:
        told: values of the request's fields.
        bits: gives a number of so many random bits.
        now: gives the clock's reading, in seconds.
    """
    parent = caller_span(told)
    if parent is None:
        return Lineage(_hex(bits, _TRACE_BITS), None, _hex(bits, _SPAN_BITS), SAMPLED | _RANDOM, bits, now)
    if not parent.flags & SAMPLED:
        return None
    flags = parent.flags & (SAMPLED | _RANDOM)
    return Lineage(parent.trace_id, parent.span_id, _hex(bits, _SPAN_BITS), flags, bits, now)


def _hex(bits: Callable[[int], int], size: int) -> str:
    """Return an id, which is never all zeros."""
    return f"{bits(size) or 1:0{size // 4}x}"
