"""Declares the metrics of the outcome ledger; they exist, as 0, without one too."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Final

from proxy.api.operations import OPERATIONS, OTHER
from proxy.ledger.entry import Settled
from proxy.ledger.reports import ReadResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ledger.ledger import Ledger
    from proxy.ops.metrics.instruments import Instruments

# Seconds. One fsync takes from 0.1 ms on a good disk to tens of milliseconds on a busy one.
_BUCKETS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_WITH_EFFECTS: Final = tuple(operation.name for operation in (*OPERATIONS, OTHER) if operation.has_effects)
_BODIES: Final = ("same", "other", "unknown")


class LedgerMetrics:
    """What is counted of the ledger."""

    def __init__(self, make: Instruments) -> None:
        self.write_seconds = make.histogram(
            "ledger_write_seconds",
            "Time of a commit; calls at once share one.",
            _BUCKETS,
        ).labels()
        self.failures = make.count("ledger_failures", "Commits that failed, and calls that waited too long for one.")
        self.unwritten = make.count("ledger_bypassed", "Calls with effects that were sent without an entry.")
        self.interrupted = make.count("ledger_interrupted", "Calls that were on their way when their process died.")
        self.settled = make.counter("ledger_settled", "Calls that were settled.", "result")
        self.duplicates = make.counter(
            "ledger_duplicates",
            "Calls that repeat an earlier one.",
            *("operation", "body"),
        )
        self.status_reads = make.counter(
            "ledger_status_reads", "The sidecar's own reads, which settle calls.", "result"
        )
        for ended in ReadResult:
            self.status_reads.labels(ended.value)
        for result in Settled:
            self.settled.labels(result.value)
        for values in product(_WITH_EFFECTS, _BODIES):
            self.duplicates.labels(*values)


def declare_ledger_readings(make: Instruments, ledger: Ledger | None, wall: Callable[[], float]) -> None:
    """Declare what is read of the ledger at each scrape."""

    def unsettled(operation: str) -> float:
        return 0.0 if ledger is None else float(ledger.summary.open[operation])

    def age() -> float:
        oldest = None if ledger is None else ledger.summary.oldest
        return 0.0 if oldest is None else max(wall() - oldest, 0.0)

    gauge = make.gauge("ledger_open", "Calls on their way, or not settled yet.", "operation")
    for operation in _WITH_EFFECTS:
        gauge.labels(operation).set_function(partial(unsettled, operation))
    make.gauge("ledger_oldest_open_seconds", "Age of the oldest of them; 0 without any.").set_function(age)
    make.gauge("ledger_size_bytes", "What the ledger takes; 0 without one.").set_function(
        lambda: 0 if ledger is None else ledger.summary.size
    )
    make.gauge("ledger_writable", "1 while the ledger can be written, or there is none.").set_function(
        lambda: ledger is None or not ledger.fault
    )
    make.counted(
        "ledger_ends_lost",
        "Outcomes that could not be kept; their calls are settled later.",
        lambda: 0 if ledger is None else ledger.journal.lost,
    )
