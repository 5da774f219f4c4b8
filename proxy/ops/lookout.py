"""Who is told of what happens? Metrics, log, history, audit stream and traces, each in its own words.

Nothing here may raise or block: it is called while calls are relayed and tokens fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from proxy.config.catalogue import effective
from proxy.ops.audit import open_audit
from proxy.ops.events import Events
from proxy.ops.history import History
from proxy.ops.risks import risks
from proxy.ops.tracing import open_traces
from proxy.relay.caller_tls import Refusal
from proxy.relay.request_line import WrongProtocol
from proxy.tokens.keeper import Fetched

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.config import Settings
    from proxy.credentials.model import Source
    from proxy.ops.audit import Audit
    from proxy.ops.logs import Log
    from proxy.ops.metrics import Metrics
    from proxy.ops.tracing import Traces
    from proxy.relay.record import Record
    from proxy.tokens.keeper import Disputed
    from proxy.tokens.lifecycle import State


@dataclass(frozen=True, slots=True)
class Lookout:
    """All that look on.

    Attributes:
        audit: None when nobody asked for one.
        traces: the same.
        wall: gives seconds since the Unix epoch.
    """

    log: Log
    metrics: Metrics
    events: Events
    history: History
    audit: Audit | None
    traces: Traces | None
    wall: Callable[[], float]

    def observe(self, record: Record) -> None:
        """Take note of a request that is over."""
        at = self.wall()
        self.metrics.observe(record, at)
        self.events.observe(record, at)
        self.history.observe(record, at)
        if self.audit is not None:
            self.audit.observe(record)
        if self.traces is not None:
            self.traces.observe(record, at)

    def reported(self, report: Fetched | Disputed, state: State) -> None:
        """Take note of what the keeper did, and of the state in which that left the token."""
        if isinstance(report, Fetched):
            self.metrics.fetched(report)
            self.events.fetched(report)
            self.history.fetched(report, self.wall())
        else:
            self.metrics.disputes.inc()
            self.events.disputed(report)
        self.events.state(state)

    def handshake_refused(self, refusal: Refusal) -> None:
        """Take note of a caller whose TLS handshake failed."""
        self.metrics.handshakes_refused.labels(refusal.value).inc()
        self.log.logger.info("caller.tls_refused", reason=refusal.value)
        if refusal is Refusal.PLAIN_HTTP:
            self.wrong_protocol(WrongProtocol.PLAIN_HTTP)

    def wrong_protocol(self, came: WrongProtocol) -> None:
        """Take note of a caller that speaks another protocol than the listener."""
        self.events.wrong_protocol(came, self.wall())

    def accept_paused(self, listener: Literal["data", "admin"], reason: str) -> None:
        """Take note of a listener that takes no connection for a moment."""
        self.metrics.accept_pauses.labels(listener).inc()
        self.events.accept_paused(listener, reason, self.wall())

    @property
    def fingerprint(self) -> Callable[[str], str] | None:
        """What makes an external id unreadable; None when no record needs one."""
        return None if self.audit is None else self.audit.fingerprint

    def started(self, settings: Settings, source: Source, **facts: str) -> None:
        """Say what runs, with which settings, and what about them is unsafe."""
        logger = self.log.logger
        environment = settings.environment.value
        logger.info(
            "sidecar.started",
            **facts,
            environment=environment,
            credentials=source.describe(),
            settings=effective(settings),
        )
        for text in settings.warnings:
            logger.warning("setting.deprecated", text=text)
        for risk in risks(settings):
            self.metrics.unsafe_options.labels(risk.option).set(1)
            logger.warning("option.unsafe", option=risk.option, text=risk.text)
        for text in source.warnings():
            logger.warning("credentials.exposed", text=text)

    def close(self, seconds: float) -> None:
        """Let audit stream and traces get out to their end, for at most so many seconds each; blocks."""
        if self.traces is not None and not self.traces.close(seconds):
            self.log.logger.warning("traces.cut", seconds=seconds)
        if self.audit is not None and not self.audit.close(seconds):
            self.log.logger.error("audit.cut", seconds=seconds)


def open_lookout(settings: Settings, log: Log, metrics: Metrics, wall: Callable[[], float]) -> Lookout:
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
    return Lookout(log, metrics, Events(log), History(), audit, traces, wall)
