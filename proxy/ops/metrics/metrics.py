"""Counts calls, token fetches and refusals for Prometheus. Every metric is declared here or in `gauges`.

No caller and no answer can make up a series. What an alert counts is there from the start, as 0: Prometheus sees no
increase in a series that begins with 1.
"""

from __future__ import annotations

import platform
from http import HTTPStatus
from itertools import product
from typing import TYPE_CHECKING, Final

from proxy import errors
from proxy.api.operations import NAMED
from proxy.errors import UNSETTLED, Outcome, RelayError
from proxy.http1.header_cache import keep
from proxy.listening.tls import Refusal
from proxy.ops.metrics.instruments import Instruments
from proxy.ops.metrics.ledger_metrics import LedgerMetrics
from proxy.ops.metrics.series import CallSeries
from proxy.ops.risks import OPTIONS
from proxy.policy.authorizer import REPORTED
from proxy.relay.record import MOST_SHAPES, Resend, call_shape
from proxy.tokens.issuer import FetchResult
from proxy.tokens.model import Grant
from proxy.upstream.model import ConnectResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry, Gauge

    from proxy.ops.metrics.instruments import Declared
    from proxy.ops.metrics.series import FastCounter
    from proxy.relay.record import CallShape, Record
    from proxy.tokens.keeper import TokenFetched

# Seconds. Payment APIs answer in tens of milliseconds to tens of seconds; 60 s is the default response timeout.
CALL_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Seconds. The sidecar's own share is a fraction of a millisecond unless a call waits for a token.
OWN_BUCKETS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
# Seconds of life left when a token was replaced; a 5-minute token has 120-165 s left.
HEADROOM_BUCKETS: Final = (0.0, 1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 3600.0)
MOST_CALLERS: Final = 64  # a policy names a handful; more would be a mistake, and a series each for every kind
DENIALS: Final = (401, 403, 429)
OBSERVERS: Final = ("metrics", "log", "history", "audit", "traces", "witness")

_MOVING_MONEY: Final = tuple(name for name, operation in NAMED.items() if operation.moves_money)
_WITH_EFFECTS: Final = tuple(name for name, operation in NAMED.items() if operation.has_effects)
_BUILD: Final = ("version", "python", "environment")
_STATUSES: Final = frozenset(status.value for status in HTTPStatus)


class Metrics:
    """What is counted."""

    def __init__(self, version: str, environment: str) -> None:
        self.version = version
        self.instruments = make = Instruments()
        self.requests = make.counter("requests", "Requests that ended.", "operation", "method", "status", "outcome")
        self.request_seconds = make.histogram(
            "request_duration_seconds",
            "From a request's head to its answer's last byte.",
            CALL_BUCKETS,
            "operation",
        )
        self.upstream_seconds = make.histogram(
            "upstream_duration_seconds",
            "Of it, Localpayment's part, all attempts together.",
            CALL_BUCKETS,
            "operation",
        )
        self.own_seconds = make.histogram(
            "own_duration_seconds", "Of it, the sidecar's part, waiting for a token included.", OWN_BUCKETS
        ).labels()
        self._request_bytes = make.count("request_body_bytes", "Bytes of request bodies.")
        self._response_bytes = make.count("response_body_bytes", "Bytes of response bodies.")
        self.refusals = make.counter("refusals", "Answers of the sidecar's own, and cut ones.", "code")
        self.resends = make.counter("resends", "Calls sent again.", "reason")
        self.unsettled = make.counter(
            "unsettled_calls",
            "Calls with effects of which the caller did not learn the outcome.",
            *("operation", "outcome"),
        )
        self.denials = make.counter(
            "upstream_denials", "Localpayment's 401, 403 and 429 that reached the caller.", "status"
        )
        self.callers = make.counter("caller_requests", "Requests that ended, by caller.", "caller", "kind")
        self.caller_refusals = make.counter(
            "caller_refusals", "Answers of the sidecar's own, and cut ones, by caller.", "caller", "code"
        )
        self.policy_reports = make.counter(
            "policy_reports", "Calls that passed only because of mode `report`.", "verdict"
        )
        self.handshakes_refused = make.counter(
            "caller_handshakes_refused", "Callers whose TLS handshake failed.", "cause"
        )
        self.accept_pauses = make.counter(
            "accept_pauses",
            "Times that a listener took no connection for a moment: no file descriptors, or no places.",
            "listener",
        )
        self.echoes = make.count("token_echoes", "Answers that held their call's token.")
        self.mesh_repeats = make.counter(
            "mesh_repeats", "Calls moving money that a mesh says it sent again.", "operation"
        )
        self.token_fetches = make.counter("token_fetches", "Calls of the token endpoints.", "grant", "result")
        self.token_fetch_seconds = make.histogram(
            "token_fetch_duration_seconds", "Time of a call of a token endpoint.", CALL_BUCKETS, "grant"
        )
        self.token_headroom = make.histogram(
            "token_headroom_seconds", "Life left in a token when it was replaced.", HEADROOM_BUCKETS
        ).labels()
        self.disputes = make.count(
            "token_disputes",
            "Answers that may refuse the token.",
        )
        self.clock_skew = make.gauge("clock_skew_seconds", "Localpayment's clock minus this machine's.")
        self.credentials_loaded = make.gauge(
            "credentials_loaded_timestamp_seconds", "When the credentials in use were read."
        )
        self.unsafe_options = make.gauge("unsafe_option_enabled", "1 while an option weakens the sidecar.", "option")
        self.observer_failures = make.counter(
            "observer_failures", "Defects of an observer; the calls went on.", "observer"
        )
        self.connects = make.counter("upstream_connects", "Attempts to connect to Localpayment.", "result")
        self.ledger = LedgerMetrics(make)
        self._kinds = make.gauge("operation_info", "1 for each operation, with its kind.", "operation", "kind")
        build = make.gauge("build_info", "What is running.", *_BUILD)
        build.labels(version, platform.python_version(), environment).set(1)
        self._begin()
        self._series: dict[CallShape, CallSeries] = {}
        self._callers_seen: set[str] = set()

    @property
    def registry(self) -> CollectorRegistry:
        """What is exposed."""
        return self.instruments.registry

    @property
    def declared(self) -> list[Declared]:
        """Every metric that was declared, in the order in which one reads of them."""
        return self.instruments.declared

    def observe(self, record: Record, at: float) -> None:
        """Count a request that was over `at` seconds since the epoch."""
        calls = call_shape(record)
        series = self._series.get(calls) or keep(self._series, calls, self._series_of(record), most=MOST_SHAPES)
        for count in series.counts:
            count.value += 1
        trace_id = record.trace_id
        series.total.observe(record.total_seconds, trace_id, at)
        if series.upstream is not None:
            series.upstream.observe(record.upstream_seconds, trace_id, at)
        if series.own is not None:
            series.own.observe(record.own_seconds)
        self._request_bytes.value += record.request_bytes
        self._response_bytes.value += record.response_bytes
        for reason in record.resends:
            self.resends.labels(reason).inc()
        if record.echoed:
            self.echoes.inc()
        if record.mesh_attempt > 1:
            self.mesh_repeats.labels(record.operation).inc()

    def fetched(self, report: TokenFetched) -> None:
        """Count a token fetch."""
        self.token_fetches.labels(report.grant.value, report.result.value).inc()
        self.token_fetch_seconds.labels(report.grant.value).observe(report.seconds)
        if report.headroom is not None:
            self.token_headroom.observe(max(report.headroom, 0.0))
        if report.skew is not None:
            self.clock_skew.set(report.skew)

    def connected(self, result: ConnectResult) -> None:
        """Count an attempt to connect."""
        self.connects.labels(result.value).inc()

    def _begin(self) -> None:
        """Let every series that an alert looks at exist."""
        for name, operation in NAMED.items():
            self.request_seconds.labels(name)
            self._kinds.labels(name, operation.kind.value).set(1)
        zeros: tuple[tuple[FastCounter | Gauge, Iterable[tuple[object, ...]]], ...] = (
            (self.unsettled, product(_WITH_EFFECTS, UNSETTLED)),
            (self.denials, product(DENIALS)),
            (self.refusals, product(codes())),
            (self.resends, product(Resend)),
            (self.policy_reports, product(REPORTED)),
            (self.handshakes_refused, product(Refusal)),
            (self.accept_pauses, product(("data", "admin"))),
            (self.mesh_repeats, product(_MOVING_MONEY)),
            (self.token_fetches, product(Grant, FetchResult)),
            (self.connects, product(ConnectResult)),
            (self.unsafe_options, product(OPTIONS)),
            (self.observer_failures, product(OBSERVERS)),
        )
        for metric, series in zeros:
            for values in series:
                metric.labels(*values)

    def _series_of(self, record: Record) -> CallSeries:
        """Find what calls like this one are counted in."""
        operation, status, outcome = record.operation, record.status, record.outcome
        shown = str(status) if status in _STATUSES or not status else f"{status // 100}xx"
        counts = [self.requests.labels(operation, record.method, shown, outcome)]
        counts.append(self.callers.labels(self._caller(record.caller), NAMED[operation].kind))
        if record.code:
            counts.append(self.refusals.labels(record.code))
            counts.append(self.caller_refusals.labels(self._caller(record.caller), record.code))
        elif status in DENIALS:
            counts.append(self.denials.labels(status))
        if outcome in UNSETTLED and operation in _WITH_EFFECTS:
            counts.append(self.unsettled.labels(operation, outcome))
        if record.policy:
            counts.append(self.policy_reports.labels(record.policy))
        return CallSeries(
            counts=tuple(counts),
            total=self.request_seconds.labels(operation),
            upstream=self.upstream_seconds.labels(operation) if record.attempts else None,
            own=None if outcome is Outcome.REJECTED else self.own_seconds,
        )

    def _caller(self, name: str) -> str:
        if name not in self._callers_seen and len(self._callers_seen) >= MOST_CALLERS:
            return "other"
        self._callers_seen.add(name)
        return name


def codes() -> tuple[str, ...]:
    """Return the code of every error that a caller can get, in alphabetical order."""
    found: set[str] = set()
    kinds = [RelayError]
    while kinds:
        kind = kinds.pop()
        kinds += [child for child in kind.__subclasses__() if child.__module__.startswith(errors.__name__)]
        if "code" in vars(kind):
            found.add(kind.code)
    return tuple(sorted(found))
