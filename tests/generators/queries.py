"""The pieces of Prometheus queries that the dashboard's panels are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["stat", "timeseries"]
HERE: Final = 'job=~"$job",instance=~"$instance"'
JOB: Final = 'job=~"$job"'
PREFIX: Final = "localpayment_proxy_"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of PromQL, and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: the question, or what is seen.
        queries: what is asked.
        unit: Grafana's name of the unit.
        kind: a single number, or lines over time.
        bad_above: from this value on it is red; None has no such value.
        bad_below: below this value it is red.
        text: what it means, shown on hovering.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    bad_above: float | None = None
    bad_below: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels below one heading."""

    title: str
    panels: tuple[Panel, ...]


def metric(name: str, *matchers: str) -> str:
    """Select a metric of the sidecars chosen on the dashboard."""
    return f"{PREFIX}{name}{{{','.join((HERE, *matchers))}}}"


def rate(name: str, by: str = "", *matchers: str) -> str:
    """Sum the rate of a counter, by some labels."""
    return f"sum by ({by}) (rate({metric(name, *matchers)}[$__rate_interval]))"


def quantiles(name: str) -> tuple[Query, ...]:
    """Ask for three quantiles of a histogram."""
    buckets = rate(f"{name}_bucket", "le")
    shares = ((0.5, "half within"), (0.95, "95 % within"), (0.99, "99 % within"))
    return tuple(Query(f"histogram_quantile({share}, {buckets})", legend) for share, legend in shares)
