"""Declares metrics, each once with help text and labels, so that reference page and registry cannot differ.

Every label takes its values from a closed set, named in LABELS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from proxy.ops.metrics.series import FastCounter, FastHistogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client import Metric

    from proxy.ops.metrics.series import CounterSeries

NAMESPACE: Final = "localpayment_proxy"
LABELS: Final = {
    "operation": "name in the [catalogue](reference/operations.md), or `other`",
    "kind": "`read`, `quote`, `state`, `money_in`, `money_out`, `money_internal`",
    "method": "as sent, or `other`",
    "status": "of the caller's answer, `0` without one; one that HTTP does not define by its class, such as `2xx`",
    "outcome": "`answered`, `rejected`, `not_sent`, `unknown`, `aborted`, `orphaned`",
    "code": "a code of [errors.md](errors.md)",
    "body": "`same`, `other`, or `unknown` when one was not held whole",
    "reason": "`token`, `same_token`, `disconnected`, `connect`",
    "caller": "name in the policy, `anyone` without a policy, `unknown` for a caller not in it, empty when refused "
    "before that, `other` from the 65th on",
    "cause": "`no_certificate`, `untrusted`, `other`",
    "listener": "`data`, `admin`",
    "verdict": "`unknown_caller`, `not_allowed`, `denied`, `over_rate`",
    "grant": "`password`, `refresh_token`",
    "result": "how it ended",
    "state": "what it is in",
    "option": "an [unsafe option](runbooks/unsafe-option.md)",
    "files": "`confined` by Landlock, `off`, `unavailable`, `helpers` with a credentials command or AWS",
    "dumps": "`true`: no core dumps, and no process of the same user may look in",
    "privileges": "`true`: no program can bring new ones",
    "observer": "`metrics`, `log`, `history`, `audit`, `traces`, `witness` (the recorder of secrets)",
    "version": "of the sidecar",
    "environment": "`sandbox`, `production`",
    "python": "its version",
}

# Each counter would have a second series that says when it began; `process_start_time_seconds` says the same of all.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves this one function bare


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as Prometheus sees it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class Instruments:
    """A registry that remembers what was declared in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.declared: list[Declared] = []

    def counter(self, name: str, text: str, *labels: str) -> FastCounter:
        """Declare a counter that the event loop alone counts; its name gets `_total` at the end."""
        self._declare(f"{name}_total", "counter", labels, text)
        made = FastCounter(f"{NAMESPACE}_{name}", text, labels)
        self.registry.register(made)
        return made

    def count(self, name: str, text: str) -> CounterSeries:
        """Declare a counter without labels."""
        return self.counter(name, text).labels()

    def counted(self, name: str, text: str, read: Callable[[], int]) -> None:
        """Declare a counter that something else counts."""
        self._declare(f"{name}_total", "counter", (), text)
        self.registry.register(_Counted(f"{NAMESPACE}_{name}", text, read))

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Declare a gauge."""
        self._declare(name, "gauge", labels, text)
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        """Declare a histogram; buckets in its own unit, without infinity."""
        self._declare(name, "histogram", labels, text)
        return Histogram(name, text, labels, namespace=NAMESPACE, buckets=buckets, registry=self.registry)

    def fast_histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> FastHistogram:
        """Declare a histogram that the event loop alone observes."""
        self._declare(name, "histogram", labels, text)
        made = FastHistogram(f"{NAMESPACE}_{name}", text, buckets, labels)
        self.registry.register(made)
        return made

    def _declare(self, name: str, kind: str, labels: tuple[str, ...], text: str) -> None:
        self.declared.append(Declared(f"{NAMESPACE}_{name}", kind, labels, text))


class _Counted(Collector):
    """A counter whose value is looked up."""

    def __init__(self, name: str, text: str, read: Callable[[], int]) -> None:
        self._name = name
        self._text = text
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Give the one sample."""
        yield CounterMetricFamily(self._name, self._text, value=self._read())
