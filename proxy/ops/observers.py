"""Passes what happens to the observers: metrics, log, history, audit stream and traces.

It must never raise or block: it is called while calls are relayed and tokens fetched. An observer that fails is counted
and logged by its exception's type; the others are told all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from proxy.config.declared_settings import changed
from proxy.listening.tls import Refusal
from proxy.ops.admin.history import History
from proxy.ops.ledger_observer import LedgerObserver
from proxy.ops.logs.audit import open_audit
from proxy.ops.logs.events import Events
from proxy.ops.metrics.metrics import OBSERVERS
from proxy.ops.risks import risks
from proxy.ops.tracing.exporter import open_traces
from proxy.process.error_location import where
from proxy.relay.request.request_line import WrongProtocol
from proxy.tokens.keeper import TokenFetched

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.config import Settings
    from proxy.credentials.model import Source
    from proxy.credentials.watch import Event
    from proxy.ledger.reports import Report as LedgerReport
    from proxy.ops.logs.audit import Audit
    from proxy.ops.logs.log import Log
    from proxy.ops.metrics.metrics import Metrics
    from proxy.ops.tracing.exporter import Traces
    from proxy.relay.record import Record
    from proxy.tokens.keeper import TokenDisputed
    from proxy.tokens.lifecycle_steps import State
    from proxy.upstream.model import ConnectResult


METRICS, LOG, HISTORY, AUDIT, TRACES = OBSERVERS[:5]


@dataclass(frozen=True, slots=True)
class Observers:
    """All observers of a sidecar.

    Attributes:
        audit: None when none is configured.
        traces: the same.
        wall: gives seconds since the Unix epoch.
        ledger_observer: told what the outcome ledger reports.
        call_observers: what is told of each request that is over, each with the name by which its failures are counted.
    """

    log: Log
    metrics: Metrics
    events: Events
    history: History
    audit: Audit | None
    traces: Traces | None
    wall: Callable[[], float]
    ledger_observer: LedgerObserver = field(init=False)
    call_observers: tuple[tuple[str, Callable[[Record, float], None]], ...] = field(init=False)

    def __post_init__(self) -> None:
        observers: list[tuple[str, Callable[[Record, float], None]]] = [
            (METRICS, self.metrics.observe),
            (LOG, self.events.observe),
            (HISTORY, self.history.observe),
        ]
        audit = self.audit
        if audit is not None:
            observers.append((AUDIT, lambda record, _: audit.observe(record)))
        if self.traces is not None:
            observers.append((TRACES, self.traces.observe))
        object.__setattr__(self, "call_observers", tuple(observers))  # frozen from here on
        object.__setattr__(self, "ledger_observer", LedgerObserver(self.metrics.ledger, self.log.logger))

    def observe(self, record: Record) -> None:
        """Pass on a finished request."""
        at = self.wall()
        for name, look in self.call_observers:
            try:
                look(record, at)
            except Exception as error:  # noqa: BLE001 - an observer must not fail what it observes
                self.failed(name, error)

    def reported(self, report: TokenFetched | TokenDisputed, state: State) -> None:
        """Pass on what the keeper did, and the state of the token after it."""
        if isinstance(report, TokenFetched):
            self._tell(METRICS, lambda: self.metrics.fetched(report))
            self._tell(LOG, lambda: self.events.fetched(report))
            self._tell(HISTORY, lambda: self.history.fetched(report, self.wall()))
        else:
            self._tell(METRICS, self.metrics.disputes.inc)
            self._tell(LOG, lambda: self.events.disputed(report))
        self._tell(LOG, lambda: self.events.state(state))

    def ledger(self, report: LedgerReport) -> None:
        """Pass on what the outcome ledger reports."""
        self._tell(LOG, lambda: self.ledger_observer(report))

    def looked(self, event: Event) -> None:
        """Pass on what a look at the source of the credentials found."""
        self._tell(LOG, lambda: self.events.credentials(event))

    def connected(self, result: ConnectResult) -> None:
        """Count an attempt to connect to Localpayment."""
        self._tell(METRICS, lambda: self.metrics.connected(result))

    def handshake_refused(self, refusal: Refusal) -> None:
        """Count and log a caller whose TLS handshake failed."""
        self._tell(METRICS, self.metrics.handshakes_refused.labels(refusal.value).inc)
        self._tell(LOG, lambda: self.log.logger.info("caller.tls_refused", reason=refusal.value))
        if refusal is Refusal.PLAIN_HTTP:
            self.wrong_protocol(WrongProtocol.PLAIN_HTTP)

    def wrong_protocol(self, came: WrongProtocol) -> None:
        """Log a caller that speaks another protocol than the listener."""
        self._tell(LOG, lambda: self.events.wrong_protocol(came, self.wall()))

    def accept_paused(self, listener: Literal["data", "admin"], reason: str) -> None:
        """Count and log a listener that accepts no connection for a moment."""
        self._tell(METRICS, self.metrics.accept_pauses.labels(listener).inc)
        self._tell(LOG, lambda: self.events.accept_paused(listener, reason, self.wall()))

    def failed(self, observer: str, error: Exception) -> None:
        """Count an observer that failed, and log its 1st, 2nd, 4th, 8th … failure."""
        count = self.metrics.observer_failures.labels(observer)
        count.inc()
        if count.value.bit_count() == 1:
            facts = {"exception": type(error).__qualname__, "where": where(error), "failures": count.value}
            self.log.logger.error("observer.failed", observer=observer, **facts)

    def _tell(self, observer: str, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001 - an observer must not fail what it observes
            self.failed(observer, error)

    @property
    def fingerprint(self) -> Callable[[str], str] | None:
        """The keyed hash of external ids; None when no record needs one."""
        return None if self.audit is None else self.audit.fingerprint

    def started(self, settings: Settings, source: Source, **facts: str) -> None:
        """Log what runs, with which settings other than the defaults, and what about them is unsafe."""
        logger = self.log.logger
        environment = settings.environment.value
        logger.info(
            "sidecar.started",
            **facts,
            environment=environment,
            credentials=source.describe(),
            settings=changed(settings),
        )
        for risk in risks(settings):
            self.metrics.unsafe_options.labels(risk.option).set(1)
            logger.warning("option.unsafe", option=risk.option, text=risk.text)
        for text in source.warnings():
            logger.warning("credentials.exposed", text=text)

    def close(self, seconds: float) -> None:
        """Flush audit stream and traces, for at most so many seconds each; blocks."""
        if self.traces is not None and not self.traces.close(seconds):
            self.log.logger.warning("traces.cut", seconds=seconds)
        if self.audit is not None and not self.audit.close(seconds):
            self.log.logger.error("audit.cut", seconds=seconds)


def open_observers(settings: Settings, log: Log, metrics: Metrics, wall: Callable[[], float]) -> Observers:
    """Open what the settings ask for; blocks while files are opened.

    Raises:
        AuditError, KeyFileError: the audit stream cannot be opened.
        TracingError: traces cannot be exported.
    """
    if settings.egress_proxy is not None:
        log.known.keep(settings.egress_proxy.authorization)
    place = settings.audit_log
    audit = None if place is None else open_audit(place, settings.audit_key_file, log)
    traces = open_traces(settings, log, metrics.version)
    return Observers(log, metrics, Events(log), History(), audit, traces, wall)
