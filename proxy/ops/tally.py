"""How does one thread count a distribution fast? prometheus_client's histogram takes a lock three times for each value.

Only the event loop observes and only the event loop collects, so that no lock is needed; what is exposed is the same.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import Metric


class Tally:
    """The distribution of one series."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._exemplars: list[Exemplar | None] = [None] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, trace_id: str | None = None) -> None:
        """Count a value; a bucket shows the trace of the last one that had any."""
        place = bisect_left(self._bounds, value)
        self._counts[place] += 1
        self._sum += value
        if trace_id is not None:
            self._exemplars[place] = Exemplar({"trace_id": trace_id}, value, time.time())

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Give the series to a family; buckets are cumulative there."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = [
            (name, float(count)) if exemplar is None else (name, float(count), exemplar)
            for name, count, exemplar in zip(names, accumulate(self._counts), self._exemplars, strict=True)
        ]
        family.add_metric(labels, buckets, self._sum)


class Tallies(Collector):
    """A histogram of one label, or of none."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._bounds = tuple(bounds)
        self._labels = tuple(labels)
        self._series: dict[tuple[str, ...], Tally] = {}
        if not labels:
            self.labels()

    def labels(self, *values: str) -> Tally:
        """Return the series with these values, which exists from then on."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = Tally(self._bounds)
        return series

    def collect(self) -> Iterator[Metric]:
        """Give all series."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, series in self._series.items():
            series.add_to(family, values)
        yield family
