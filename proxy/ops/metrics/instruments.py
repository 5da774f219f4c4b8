"""Declares metrics, each once with help text and labels, so that page and registry cannot differ; writes them.

Every label takes its values from a closed set.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from proxy.ops.metrics.series import FastCounter, FastHistogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client import Metric

    from proxy.ops.metrics.series import CounterSeries

NAMESPACE: Final = "localpayment_proxy"
_END: Final = b"# EOF\n"  # of OpenMetrics

# Each counter would have a second series that says when it began; `process_start_time_seconds` says the same of all.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves this one function bare


class Declared(NamedTuple):
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

    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> FastHistogram:
        """Declare a histogram that the event loop alone observes; buckets in its own unit, without infinity."""
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


MOST_SCRAPES: Final = 5  # a second that read the metrics; more get what was read last


class Exposition:
    """What `/metrics` answers: a registry's metrics and those of the process, a family at a time for calls to go on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._written: dict[str, bytes] = {}
        self._times: deque[float] = deque(maxlen=MOST_SCRAPES)
        self._writing = asyncio.Lock()

    async def write(self, accept: str) -> tuple[bytes, str]:
        """Return text and content type in the format that an Accept field asks for."""
        encode, content_type = choose_encoder(accept)
        async with self._writing:
            now = asyncio.get_running_loop().time()
            often = len(self._times) == MOST_SCRAPES and now - self._times[0] < 1.0
            if not often or content_type not in self._written:
                self._times.append(now)
                self._written[content_type] = await self._write(encode)
            return self._written[content_type], content_type

    async def _write(self, encode: Callable[[CollectorRegistry], bytes]) -> bytes:
        pieces = []
        for family in self._registry.collect():
            pieces.append(encode(_only(family)).removesuffix(_END))
            await asyncio.sleep(0)
        process = await asyncio.to_thread(encode, self._process)  # It reads files of /proc.
        ending = _END if process.endswith(_END) else b""
        return b"".join((*pieces, process.removesuffix(_END), ending))


class _OneMetric:
    """A registry as far as an encoder looks at one, with one metric in it."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def _only(family: Metric) -> CollectorRegistry:
    return cast("CollectorRegistry", _OneMetric(family))
