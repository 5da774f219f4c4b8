"""Turns samples into medians and verdicts on targets. Pure.

A ratio is the median of the rounds' own ratios: what slows the machine for a while then slows both sides of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Samples = Mapping[str, Mapping[str, Sequence[float]]]  # by figure and contender, one for each round

OURS: Final = "sidecar"


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is measured.

    Attributes:
        key: how raw samples name it.
        title: how people read it.
        unit: of a sample.
        digits: that are shown after the point.
        more_is_better: whether a higher one is better.
    """

    key: str
    title: str
    unit: str
    digits: int = 0
    more_is_better: bool = False

    @property
    def heading(self) -> str:
        """The title with the unit, unless the title says it."""
        return self.title if self.unit == "/s" else f"{self.title}, {self.unit}"

    def number(self, value: float) -> str:
        """Return a value without its unit."""
        return f"{value:,.{self.digits}f}"

    def shown(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{self.number(value)} {self.unit}"


RATE_1: Final = Figure("rate_1", "calls a second, 1 connection", "/s", more_is_better=True)
RATE_32: Final = Figure("rate_32", "calls a second, 32 connections", "/s", more_is_better=True)
RATE_128: Final = Figure("rate_128", "calls a second, 128 connections", "/s", more_is_better=True)
P50_1: Final = Figure("p50_1", "median time of a call, 1 connection", "µs")
P99_32: Final = Figure("p99_32", "99th percentile, 32 connections", "ms", 1)
P99_128: Final = Figure("p99_128", "99th percentile, 128 connections", "ms", 1)
P999_32: Final = Figure("p999_32", "99.9th percentile, 32 connections", "ms", 1)
P999_128: Final = Figure("p999_128", "99.9th percentile, 128 connections", "ms", 1)
COLD_32: Final = Figure("cold_32", "99th percentile after six idle seconds, 32 connections", "ms", 1)
COLD_128: Final = Figure("cold_128", "99th percentile after six idle seconds, 128 connections", "ms", 1)
COLD_999_32: Final = Figure("cold_999_32", "99.9th percentile after six idle seconds, 32 connections", "ms", 1)
COLD_999_128: Final = Figure("cold_999_128", "99.9th percentile after six idle seconds, 128 connections", "ms", 1)
CPU_32: Final = Figure("cpu_32", "processor time of a call, 32 connections", "µs", 1)
IDLE: Final = Figure("idle", "memory, idle", "MiB", 1)
LOADED: Final = Figure("loaded", "memory after 128 connections", "MiB", 1)
READY: Final = Figure("ready", "from start to the first 200", "s", 2)
DOWNLOAD: Final = Figure("download", "answers of 1 MiB, 4 connections", "MiB/s", more_is_better=True)
UPLOAD: Final = Figure("upload", "requests of 1 MiB, 4 connections", "MiB/s", more_is_better=True)
IDLER: Final = Figure("idler", "memory of an idle caller", "KiB", 1)

FIGURES: Final = (
    RATE_1, RATE_32, RATE_128, P50_1, P99_32, P99_128, P999_32, P999_128, COLD_32, COLD_128, COLD_999_32, COLD_999_128,
    CPU_32, IDLE, LOADED, READY, DOWNLOAD, UPLOAD, IDLER,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure of ours should be.

    Attributes:
        figure: which one.
        bound: as a multiple of the other's, or in the figure's unit without another; met at the bound itself.
        against: the other.
        stretch: a bound beyond the bound, None without one.
    """

    figure: Figure
    bound: float
    against: str | None = None
    stretch: float | None = None

    def measured(self, samples: Samples) -> float | None:
        """Return what was found, in the bound's terms; None when one side was not measured."""
        ours = samples[self.figure.key].get(OURS, ())
        if self.against is None:
            return median(ours) if ours else None
        return ratio(ours, samples[self.figure.key].get(self.against, ()))

    def met(self, value: float) -> bool:
        """Whether a value reaches the bound."""
        return _reaches(value, self.bound, more_is_better=self.figure.more_is_better)

    def stretched(self, value: float) -> bool:
        """Whether a value reaches the bound beyond the bound."""
        more = self.figure.more_is_better
        return self.stretch is not None and _reaches(value, self.stretch, more_is_better=more)

    def shown(self, value: float) -> str:
        """Return a value in the bound's terms."""
        return self.figure.shown(value) if self.against is None else times(value)


TARGETS: Final = (
    Target(RATE_32, 1.0, "envoy", stretch=1.25),
    Target(RATE_128, 1.0, "envoy", stretch=1.25),
    Target(CPU_32, 1.0, "envoy"),
    Target(P50_1, 1.0, "envoy"),
    Target(P99_32, 1.2, "envoy"),
    Target(P99_128, 1.2, "envoy"),
    Target(COLD_32, 1.2, "envoy"),
    Target(COLD_128, 1.2, "envoy"),
    Target(IDLE, 0.75, "envoy"),
    Target(LOADED, 0.85, "envoy"),
    Target(READY, 0.3),
    Target(RATE_32, 3.0, "aiohttp"),
    Target(DOWNLOAD, 0.5, "nginx"),
    Target(UPLOAD, 0.5, "nginx"),
    Target(IDLER, 25.0),
)


def times(value: float) -> str:
    """Return how people read a ratio."""
    return f"{value:.2f}\N{MULTIPLICATION SIGN}"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return the median of the rounds' ratios; None without a round that both were measured in."""
    rounds = [our / their for our, their in zip(ours, theirs, strict=False) if their > 0]
    return median(rounds) if rounds else None


def spread(values: Sequence[float]) -> float:
    """Return the distance between the quartiles as a share of the median; 0 for a single value."""
    middle = median(values)
    if len(values) < 2 or not middle:
        return 0.0
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return (upper - lower) / abs(middle)


def _reaches(value: float, bound: float, *, more_is_better: bool) -> bool:
    return value >= bound if more_is_better else value <= bound
