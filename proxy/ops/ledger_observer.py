"""Tells metrics and log what the outcome ledger reports. No line and no label holds an external id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from proxy.ledger.reports import CallSettled, Interrupted, Pruned, Repeated, SetAside, StatusRead, WentOn, Written

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from proxy.ledger.entry import Entry
    from proxy.ledger.reports import Report
    from proxy.ops.metrics.ledger_metrics import LedgerMetrics

_SAME: Final = {True: "same", False: "other", None: "unknown"}


class LedgerObserver:
    """What looks on at the ledger."""

    def __init__(self, metrics: LedgerMetrics, logger: FilteringBoundLogger) -> None:
        self._metrics = metrics
        self._logger = logger
        self._fault = ""

    def __call__(self, report: Report) -> None:
        """Take note of a report."""
        metrics, logger = self._metrics, self._logger
        match report:
            case Written():
                self._written(report)
            case WentOn():
                metrics.unwritten.inc()
                logger.error("ledger.bypassed", request_id=report.request_id, operation=report.operation)
            case Interrupted():
                metrics.interrupted.inc()
                logger.warning("ledger.interrupted", **_facts(report.entry))
            case StatusRead():
                metrics.status_reads.labels(report.result.value).inc()
            case CallSettled():
                metrics.settled.labels(report.settled.value).inc()
                logger.info(
                    "ledger.settled",
                    **_facts(report.entry),
                    settled=report.settled.value,
                    business_status=report.word or None,
                )
            case Repeated():
                metrics.duplicates.labels(report.operation, _SAME[report.same_body]).inc()
                logger.warning(
                    "ledger.duplicate",
                    request_id=report.request_id,
                    operation=report.operation,
                    duplicate_of=report.earlier,
                    body=_SAME[report.same_body],
                    refused=report.refused,
                )
            case SetAside():
                logger.error("ledger.set_aside", path=str(report.path))
            case Pruned():
                logger.info("ledger.pruned", entries=report.entries)
            case never:
                assert_never(never)

    def _written(self, report: Written) -> None:
        """Count a commit; tell only that the ledger fails, or is written again."""
        if report.fault:
            self._metrics.failures.inc()
        else:
            self._metrics.write_seconds.observe(report.seconds)
        if report.fault and not self._fault:
            self._logger.error("ledger.failing", reason=report.fault)
        elif self._fault and not report.fault:
            self._logger.info("ledger.recovered")
        self._fault = report.fault


def _facts(entry: Entry) -> dict[str, object]:
    intent = entry.intent
    return {
        "entry": entry.number,
        "request_id": intent.request_id,
        "operation": intent.operation,
        "began_at": round(intent.at, 3),
    }
