"""Keeps the last calls and token fetches, and fifteen minutes of counts, for the status page.

It must never hold what identifies a payment: operation, status, outcome, request id and time are all.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from proxy.api.operations import NAMED, OTHER
from proxy.errors import Outcome
from proxy.ops.diagnosis import Failure
from proxy.tokens.issuer import FetchResult

if TYPE_CHECKING:
    from proxy.relay.record import Record
    from proxy.tokens.keeper import TokenFetched

CALLS: Final = 50
FETCHES: Final = 20
SLICE: Final = 15  # seconds
SLICES: Final = 60  # fifteen minutes
# Seconds; a call is counted in the first bucket that it fits. Narrow enough for a line that is an inch high.
EDGES: Final = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_UNAUTHORIZED: Final = 401  # RFC 9110 section 15.5, and 15.6 for the next
_SERVER_ERROR: Final = 500
# Names for what each call is compared with: an enumeration looks its members up each time.
_ANSWERED, _ORPHANED, _REJECTED = Outcome.ANSWERED, Outcome.ORPHANED, Outcome.REJECTED
_UNSETTLED: Final = frozenset((Outcome.UNKNOWN, Outcome.ABORTED))


@dataclass(frozen=True, slots=True)
class SeenCall:
    """One call.

    Attributes:
        at: when it was over, in seconds since the epoch.
        wrong: whether its status, 401 or 5xx, says that something is.
        milliseconds: its whole duration.
        request_id: by which the log finds it; None for a call whose outcome is known.
    """

    at: float
    operation: str
    kind: str
    status: int
    wrong: bool
    outcome: str
    code: str
    milliseconds: float
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SeenFetch:
    """A token fetch, and how many alike came right before it.

    Attributes:
        at, since: when the last and the first of them ended, in seconds since the epoch.
        times: how many they are.
        milliseconds: that the last one took.
    """

    at: float
    since: float
    times: int
    grant: str
    result: str
    milliseconds: float
    reason: str


@dataclass(slots=True)
class Slice:
    """What happened in `SLICE` seconds; `number` counts slices since the epoch."""

    number: int
    calls: int = 0
    errors: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))

    def percentile(self, share: float) -> float | None:
        """Return the upper edge, in seconds, of the bucket that holds this share of calls; None without calls."""
        rest = share * sum(self.latencies)
        for edge, count in zip((*EDGES, EDGES[-1]), self.latencies, strict=True):
            rest -= count
            if count and rest <= 0:
                return edge
        return None


class History:
    """What the status page shows of the past.

    Attributes:
        fetches: the last ones, oldest first; those alike are one.
        failure: what the last one met, None when it brought a token.
        unsettled_total: how many there were since the start.
    """

    def __init__(self) -> None:
        self.fetches: deque[SeenFetch] = deque(maxlen=FETCHES)
        self.failure: Failure | None = None
        self.unsettled_total = 0
        self._calls: deque[tuple[float, Record]] = deque(maxlen=CALLS)
        self._unsettled: deque[tuple[float, Record]] = deque(maxlen=CALLS)
        self._slices: deque[Slice] = deque(maxlen=SLICES)
        self._ending = -math.inf  # of the newest slice, in seconds since the epoch

    @property
    def calls(self) -> list[SeenCall]:
        """The last ones, oldest first."""
        return [_seen(at, record) for at, record in self._calls]

    @property
    def unsettled(self) -> list[SeenCall]:
        """The last ones with effects whose outcome is not known, oldest first."""
        return [replace(_seen(at, record), request_id=record.request_id) for at, record in self._unsettled]

    def observe(self, record: Record, at: float) -> None:
        """Record a call that ended `at` seconds since the epoch."""
        self._calls.append((at, record))
        if is_unsettled(record):
            self._unsettled.append((at, record))
            self.unsettled_total += 1
        if at >= self._ending:
            self._begin(int(at) // SLICE)
        current = self._slice
        current.calls += 1
        if is_error(record):
            current.errors += 1
        current.latencies[bisect_left(EDGES, record.total_seconds)] += 1

    def fetched(self, report: TokenFetched, at: float) -> None:
        """Record a token fetch that ended `at` seconds since the epoch."""
        failed = report.result is not FetchResult.GRANTED
        facts = report.grant, report.result, report.status, report.reason, report.obstacle
        self.failure = Failure(*facts) if failed else None
        alike = (report.grant.value, report.result.value, report.reason)
        since, times = at, 1
        if self.fetches and (self.fetches[-1].grant, self.fetches[-1].result, self.fetches[-1].reason) == alike:
            last = self.fetches.pop()
            since, times = last.since, last.times + 1
        grant, result, reason = alike
        self.fetches.append(SeenFetch(at, since, times, grant, result, round(report.seconds * 1000, 1), reason))

    def slices(self, at: float) -> tuple[Slice, ...]:
        """Return the last fifteen minutes before `at`, oldest first, empty slices included."""
        last = int(at) // SLICE
        known = {each.number: each for each in self._slices}
        return tuple(known.get(number) or Slice(number) for number in range(last - SLICES + 1, last + 1))

    def _begin(self, number: int) -> None:
        """Count in a new slice from now on; a wall clock that is set back goes on counting in it."""
        self._slice = Slice(number)
        self._slices.append(self._slice)
        self._ending = (number + 1) * SLICE


def _seen(at: float, record: Record) -> SeenCall:
    return SeenCall(
        at=at,
        operation=record.operation,
        kind=NAMED.get(record.operation, OTHER).kind.value,
        status=record.status,
        wrong=record.status == _UNAUTHORIZED or record.status >= _SERVER_ERROR,
        outcome=record.outcome.value,
        code=record.code,
        milliseconds=round(record.total_seconds * 1000, 1),
    )


def is_unsettled(record: Record) -> bool:
    """Whether the outcome of a call with effects is not known."""
    return record.outcome in _UNSETTLED and NAMED.get(record.operation, OTHER).has_effects


def is_error(record: Record) -> bool:
    """Whether a call failed for a reason that is not the caller's own; these count against the service level."""
    outcome = record.outcome
    if outcome is _ANSWERED or outcome is _ORPHANED:
        return record.status >= _SERVER_ERROR
    return outcome is not _REJECTED and bool(record.code)
