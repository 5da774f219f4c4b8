"""What does Prometheus read? Every metric is declared here, and every label takes its values from a closed set."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from proxy.errors import Outcome
from proxy.tokens.lifecycle import State
from proxy.upstream.model import ConnectResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.relay.gate import Gate
    from proxy.relay.record import Record
    from proxy.tokens.keeper import Fetched, Keeper
    from proxy.upstream.pool import Pool

NAMESPACE: Final = "localpayment_proxy"
# Seconds. Payment APIs answer in tens of milliseconds to tens of seconds; 60 s is the default response timeout.
CALL_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Seconds. The sidecar's own share is a fraction of a millisecond unless a call waits for a token.
OWN_BUCKETS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
# Seconds of life left when a token was replaced; a 5-minute token has 120-165 s left.
HEADROOM_BUCKETS: Final = (0.0, 1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Readings:
    """What is looked at, not counted; `wall` gives seconds since the epoch."""

    gate: Gate
    pool: Pool
    keeper: Keeper
    wall: Callable[[], float]

    def is_in(self, state: State) -> float:
        """1 when the token is in this state, else 0."""
        return float(self.keeper.state is state)

    def moment(self, remaining: float | None) -> float:
        """Turn seconds that remain into seconds since the epoch; 0 for None."""
        return 0.0 if remaining is None else self.wall() + remaining


class Metrics:
    """The registry and all that is in it."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter(
            "requests", "Requests that ended, by what became of them.", "operation", "method", "status", "outcome"
        )
        self.request_seconds = self._histogram(
            "request_duration_seconds", "From a request's head to the last byte of its answer.", CALL_BUCKETS
        )
        self.upstream_seconds = self._histogram(
            "upstream_duration_seconds", "Of it, what Localpayment took, all attempts together.", CALL_BUCKETS
        )
        self.own_seconds = Histogram(
            "own_duration_seconds",
            "Of it, what the sidecar itself added, waiting for a token included.",
            namespace=NAMESPACE,
            buckets=OWN_BUCKETS,
            registry=self.registry,
        )
        self.request_bytes = self._counter("request_body_bytes", "Bytes of request bodies received from callers.")
        self.response_bytes = self._counter("response_body_bytes", "Bytes of response bodies given to callers.")
        self.refusals = self._counter("refusals", "Answers of the sidecar's own, and answers cut short.", "code")
        self.resends = self._counter("resends", "Calls that were sent again, by the reason.", "reason")
        self.token_fetches = self._counter("token_fetches", "Calls of the token endpoints.", "grant", "result")
        self.token_fetch_seconds = Histogram(
            "token_fetch_duration_seconds",
            "Time that a call of a token endpoint took.",
            ["grant"],
            namespace=NAMESPACE,
            buckets=CALL_BUCKETS,
            registry=self.registry,
        )
        self.token_headroom = Histogram(
            "token_headroom_seconds",
            "Seconds that a token could still have been used when it was replaced.",
            namespace=NAMESPACE,
            buckets=HEADROOM_BUCKETS,
            registry=self.registry,
        )
        self.clock_skew = self._gauge("clock_skew_seconds", "Localpayment's clock minus this machine's, as last seen.")
        self.credentials_loaded = self._gauge(
            "credentials_loaded_timestamp_seconds", "When the credentials in use were read from their source."
        )
        self.unsafe_options = self._gauge(
            "unsafe_option_enabled", "1 for each option in force that weakens the sidecar.", "option"
        )
        self.connects = self._counter("upstream_connects", "Attempts to connect to Localpayment.", "result")
        for result in ConnectResult:
            self.connects.labels(result.value)
        build = self._gauge("build_info", "What is running.", "version", "python")
        build.labels(version, platform.python_version()).set(1)
        ProcessCollector(registry=self.registry)

    def watch(self, readings: Readings) -> None:
        """Declare what is read at each scrape."""
        keeper, pool = readings.keeper, readings.pool
        self._gauge("in_flight_requests", "Requests being relayed now.").set_function(lambda: readings.gate.in_flight)
        connections = self._gauge("upstream_connections", "Connections to Localpayment.", "state")
        connections.labels("idle").set_function(lambda: pool.stats().idle)
        connections.labels("active").set_function(lambda: pool.stats().active)
        states = self._gauge("token_state", "1 for the state that the token is in.", "state")
        for state in State:
            states.labels(state.value).set_function(partial(readings.is_in, state))
        self._gauge("credentials_rejected", "1 while Localpayment refuses the credentials.").set_function(
            lambda: keeper.rejected
        )
        self._gauge(
            "token_expiry_timestamp_seconds", "When the access token expires; 0 while none is held."
        ).set_function(lambda: readings.moment(keeper.expiries[0]))
        self._gauge(
            "refresh_token_expiry_timestamp_seconds", "When the refresh token expires; 0 while none is held."
        ).set_function(lambda: readings.moment(keeper.expiries[1]))

    def observe(self, record: Record) -> None:
        """Count a request that is over."""
        operation = record.operation
        self.requests.labels(operation, record.method, str(record.status), record.outcome.value).inc()
        self.request_seconds.labels(operation).observe(record.total_seconds)
        if record.attempts:
            self.upstream_seconds.labels(operation).observe(record.upstream_seconds)
        if record.outcome is not Outcome.REJECTED:
            self.own_seconds.observe(record.own_seconds)
        self.request_bytes.inc(record.request_bytes)
        self.response_bytes.inc(record.response_bytes)
        if record.code:
            self.refusals.labels(record.code).inc()
        for reason in record.resends:
            self.resends.labels(reason.value).inc()

    def fetched(self, report: Fetched) -> None:
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

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, ["operation"], namespace=NAMESPACE, buckets=buckets, registry=self.registry)
