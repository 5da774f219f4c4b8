"""Holds the spans that a call consists of, and which is whose child. Known only while traces are exported.

Pure: time and chance are given. A call that its caller's traceparent does not sample has no lineage, and crosses as it
came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.relay.request.trace_context import caller_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.relay.request.request_fields import Told

# W3C Trace Context section 3.2.2.5, and of its level 2 the flag that the trace id is random.
SAMPLED: Final = 0b01
_RANDOM: Final = 0b10
_TRACE_BITS: Final = 128
_SPAN_BITS: Final = 64
_PARENT: Final = frozenset((b"traceparent",))
_PARENT_AND_STATE: Final = _PARENT | {b"tracestate"}


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
