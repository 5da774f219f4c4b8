"""Counts without locks, on one thread. prometheus_client's counter takes a lock for each call, its histogram three.

Only the event loop counts and only the event loop collects, so that no lock is needed; what is exposed is the same.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client import Metric

Series = TypeVar("Series")


class CounterSeries:
    """How often one thing happened, or how much of it there was; who counts adds to `value`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        """Count once."""
        self.value += 1


class _Labelled(Collector, Generic[Series]):
    """A metric of some labels or of none; its series exist from the first time that they are asked for.

    Args:
        name: of a counter without `_total` at its end.
        text: what it counts.
        labels: their names.
        made: makes a series.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str], made: Callable[[], Series]) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._made = made
        self._series: dict[tuple[str, ...], Series] = {}
        if not labels:
            self.labels()

    def labels(self, *values: object) -> Series:
        """Return the series whose labels have the texts of these values; it exists from then on."""
        texts = tuple(map(str, values))
        series = self._series.get(texts)
        if series is None:
            series = self._series[texts] = self._made()
        return series


class FastCounter(_Labelled[CounterSeries]):
    """A counter."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        super().__init__(name, text, labels, CounterSeries)

    def collect(self) -> Iterator[Metric]:
        """Give all series."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, series in self._series.items():
            family.add_metric(values, series.value)
        yield family


class HistogramSeries:
    """The distribution of one series."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._exemplars: list[tuple[str, float, float] | None] = [None] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, trace_id: str | None = None, at: float = 0.0) -> None:
        """Count a value, seen `at` seconds since the epoch; a bucket shows the trace of the last one that had any."""
        place = bisect_left(self._bounds, value)
        self._counts[place] += 1
        self._sum += value
        if trace_id is not None:
            self._exemplars[place] = (trace_id, value, at)

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Give the series to a family; buckets are cumulative there."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = [
            (name, float(count)) if seen is None else (name, float(count), Exemplar({"trace_id": seen[0]}, *seen[1:]))
            for name, count, seen in zip(names, accumulate(self._counts), self._exemplars, strict=True)
        ]
        family.add_metric(labels, buckets, self._sum)


class FastHistogram(_Labelled[HistogramSeries]):
    """A histogram."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str]) -> None:
        super().__init__(name, text, labels, partial(HistogramSeries, tuple(bounds)))

    def collect(self) -> Iterator[Metric]:
        """Give all series."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, series in self._series.items():
            series.add_to(family, values)
        yield family


@dataclass(frozen=True, slots=True)
class CallSeries:
    """What calls that are alike are counted in.

    Attributes:
        counts: each counts every call once.
        total: takes the seconds of each call.
        upstream: its share of Localpayment; None when it was never asked.
        own: ours; None for a call that was refused.
    """

    counts: tuple[CounterSeries, ...]
    total: HistogramSeries
    upstream: HistogramSeries | None
    own: HistogramSeries | None
